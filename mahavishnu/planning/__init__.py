"""Planning: constraints, the Pareto frontier, the linear program, its prices and hints; pure."""
