"""The names of a search's samplers; what each does is said in `docs/SEARCH.md`."""

from typing import Final

INCUMBENT_TPE: Final = "incumbent_tpe"
TPE: Final = "tpe"
MULTIVARIATE_TPE: Final = "multivariate_tpe"
RANDOM: Final = "random"
SAMPLERS: Final = (INCUMBENT_TPE, TPE, MULTIVARIATE_TPE, RANDOM)
STARTUP: Final = 10
"""Trials that must have ended before TPE proposes by what it has learned, Optuna's default."""
