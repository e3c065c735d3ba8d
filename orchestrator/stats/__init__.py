"""Paired tests, bootstrap intervals and the two noises, on plain arrays."""
