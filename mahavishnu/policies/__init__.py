"""Policies, one idea a file: each ranks candidates, and is pure."""
