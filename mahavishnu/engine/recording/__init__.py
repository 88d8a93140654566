"""Recording: what happens, on its way into the store."""
