"""The sampler of a study's search: TPE, of all hyperparameters together or each by itself."""

from collections.abc import Mapping
from typing import Any, Final

SAMPLER: Final[Mapping[str, object]] = {"name": "TPE", "multivariate": False}
"""Of a new study: in simulation, with 32 trials and at most 4 at a time, univariate TPE found
winners 0.5 to 0.9 points better where hyperparameters do not interact, and as good ones where they
do; see `benchmarks/search.py`."""
EARLIER: Final[Mapping[str, object]] = {"name": "TPE", "multivariate": True}
"""Of a study that does not name one: Optuna's default."""


def sampler_of(study: Mapping[str, Any]) -> dict[str, Any]:
    """The sampler that a stored study has searched with, and goes on with.

    Args:
        study: Its `study.json`.
    """
    return dict(study.get("sampler") or EARLIER)
