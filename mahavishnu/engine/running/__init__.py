"""Running: one task, from its decision to the end of its last attempt."""
