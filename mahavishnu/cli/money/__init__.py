"""Commands about money: budgets, bills, costs, the queue."""
