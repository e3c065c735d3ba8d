"""What may vary in a trial: data on optuna.distributions, and the baseline with its source."""
