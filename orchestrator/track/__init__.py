"""Sends the rows of a study to the experiment trackers that people already use."""
