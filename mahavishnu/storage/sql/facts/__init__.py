"""Facts in the database: written, read, corrected, added up by day."""
