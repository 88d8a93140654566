"""What processes agree on through the database: who lives, who holds which key, who runs which job."""
