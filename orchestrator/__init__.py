"""Many trials, one table: the study, its search, its results and their comparison."""
