"""Computes again what reports say, from the tables with pandas, scikit-learn and SciPy alone.

`python -m recomputing RESULTS`, run in `tests/support`, holds every cell of every table of a
study's comparison, and `comparison.parquet`, against its other tables. Nothing here uses the
project's own code, so a mistake in it is not made twice.
"""
