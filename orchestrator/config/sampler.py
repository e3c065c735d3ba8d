"""The sampler of a study's search: TPE, of all hyperparameters together or each by itself."""

from typing import Final

SAMPLER: Final = {"name": "TPE", "multivariate": False}
"""Of a new study: in simulation, with 32 trials and at most 4 at a time, univariate TPE found
winners 0.5 to 0.9 points better where hyperparameters do not interact, and as good ones where they
do; see `benchmarks/search.py`."""
EARLIER: Final = {"name": "TPE", "multivariate": True}
"""Of a study that does not name one: Optuna's default."""
