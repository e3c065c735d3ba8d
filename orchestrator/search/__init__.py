"""Which trial comes next and which goes on: Optuna, ASHA, budgets and failures."""
