"""The promises of stores, a file for each contract."""
