"""Routing: which targets may run a task, and which of them is chosen."""
