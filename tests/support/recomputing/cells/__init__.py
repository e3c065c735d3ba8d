"""What each table of a report must hold."""

from recomputing.cells import of_search, of_tests  # noqa: F401 (each registers its tables)
from recomputing.cells.registry import TABLES as TABLES
