"""Workflows: steps with dependencies between them."""
