"""The store in memory, with the same promises."""
