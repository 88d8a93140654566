"""Money in the database: budgets, reservations, charges, and the queue."""
