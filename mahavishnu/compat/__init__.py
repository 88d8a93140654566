"""The seeds' own names, as thin doors onto what does the work."""
