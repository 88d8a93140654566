"""Commands about tasks: one, many, and the records of them."""
