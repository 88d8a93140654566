"""Prefect flows: they wind what the house does, and compute nothing themselves."""
