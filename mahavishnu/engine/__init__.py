"""The engine: admission, choice, attempts, and what is learnt from them."""
