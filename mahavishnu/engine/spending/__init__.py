"""Spending: budgets before and after each attempt, and the tasks that wait for room."""
