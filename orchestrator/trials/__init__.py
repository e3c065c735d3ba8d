"""Trials in memory, what they add up to, and how their rows reach the disk."""
