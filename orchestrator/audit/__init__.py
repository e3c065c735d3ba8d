"""The command `audit`: what the trials of somebody's study can bear, and what they cannot."""
