"""Commands about what routing has learnt, and what it is to be good at."""
