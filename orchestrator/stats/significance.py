"""Is a difference real: exact paired tests, and their correction where there are many."""

from collections.abc import Sequence
from typing import cast

import numpy as np
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from orchestrator.stats.bootstrap import Bools, Floats


def mcnemar_p_value(correct_a: Bools, correct_b: Bools) -> float:
    """The exact two-sided McNemar test: do a and b err equally often on the same images?

    Args:
        correct_a: Whether model a is right, [images].
        correct_b: Whether model b is right, [images], the same images.

    Returns:
        The p-value; 1.0 where no image tells the two apart. Source: McNemar (1947), in its exact
        binomial form on the discordant images.
    """
    only_a = int(np.count_nonzero(correct_a & ~correct_b))
    only_b = int(np.count_nonzero(correct_b & ~correct_a))
    if only_a + only_b == 0:
        return 1.0
    return float(binomtest(only_a, only_a + only_b).pvalue)


def holm(p_values: Sequence[float]) -> Floats:
    """P-values of one family of tests adjusted by Holm (1979), in their order, [tests]."""
    if len(p_values) == 0:
        return np.empty(0)
    return cast("Floats", multipletests(p_values, method="holm")[1])
