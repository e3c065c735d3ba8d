"""The command `verify`: every invariant of a stored study, computed again."""
