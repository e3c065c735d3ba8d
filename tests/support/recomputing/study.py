"""A study's numbers, computed again from its tables."""

from recomputing.searched import Searched
from recomputing.tested import Tested


class Recomputed(Tested, Searched):
    """Both halves of a study."""
