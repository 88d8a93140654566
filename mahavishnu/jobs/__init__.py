"""What a schedule does, with no scheduler in it."""
