"""Is a difference real: exact paired tests, and their correction where there are many."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import binomtest

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
    ascending = np.argsort(p_values)
    raised = np.asarray(p_values, dtype=np.float64)[ascending] * np.arange(len(p_values), 0, -1)
    adjusted = np.empty(len(p_values))
    adjusted[ascending] = np.minimum(np.maximum.accumulate(raised), 1)
    return adjusted
