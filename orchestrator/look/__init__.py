"""The command `look`: your images before a study, what is wrong with them, and what to run."""
