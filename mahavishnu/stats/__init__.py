"""Arithmetic only: every function could be checked against the paper cited above it."""
