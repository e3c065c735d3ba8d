"""Computes again what reports say, from the tables with pandas, scikit-learn and SciPy alone.

`python -m recomputing RESULTS [RESULTS ...]`, run in `tests/support`, holds `comparison.md` and
`report.html` of a study, or the page of several, against its tables. Nothing here uses the
project's own code, so a mistake in it is not made twice.
"""
