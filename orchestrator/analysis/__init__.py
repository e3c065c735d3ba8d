"""What the tables of a study say, one topic a file: its numbers and its table."""
