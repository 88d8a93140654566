"""The database: its address, schema, tables, transactions, and the threads that use it."""
