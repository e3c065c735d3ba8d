"""Which comparisons survive: pairs of groups at equal budget, the best against the baseline.

Repeated trainings are compared by Welch's t, single ones on test by the spread of their images,
searches alone by permuting their trials; all adjusted by Holm (1979) for what was tested.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student
from scipy.stats import ttest_ind

from orchestrator.analysis.section import present
from orchestrator.analysis.selection import expected_best
from orchestrator.audit import selection_bias
from orchestrator.audit.finding import Claim, ClaimStatus, Finding, of_group
from orchestrator.audit.foreign import ForeignStudy, Trial, tuned
from orchestrator.audit.test_use import TAINTING
from orchestrator.cli import counted
from orchestrator.stats.claims import holm

LEVEL: Final = 0.05
PERMUTATIONS: Final = 2000
FEWEST_CONFIGS: Final = 4
"""Of each search, that a permutation of them can say anything."""
NETWORKS: Final = "these trained networks only"
MODELS: Final = "the models, as they were tuned here"
SEARCHES: Final = "these searches, on validation"


class _Test(NamedTuple):
    """How two groups differ in the metric, by which test, its p-value if any, and its scope."""

    difference: float | None
    why: str
    p_value: float | None = None
    scope: str = ""


def judge_claims(
    study: ForeignStudy,
    findings: Sequence[Finding],
    noise: selection_bias.Noise | None,
    selection_biases: Sequence[selection_bias.SelectionBias],
) -> list[Claim]:
    """What may be claimed: each pair of groups, and each group's best against its baseline."""
    tainted = sorted({each.name for each in findings if each.name in TAINTING})
    bias = {each.group: each.optimism for each in selection_biases}
    groups = [group for group in study.groups if tuned(study.of(group))]
    finals = {group: _finals(study, tuned(study.of(group))) for group in groups}
    tests = [
        (a, b, _by_finals(study, finals[a], finals[b]) or _by_searches(study, a, b))
        for a, b in combinations(groups, 2)
    ]
    tests += _over_baselines(study, finals, noise, bias)
    adjusted = iter(holm([test.p_value for *_, test in tests if test.p_value is not None]))
    return [
        _judged(one, other, test, None if test.p_value is None else float(next(adjusted)), tainted)
        for one, other, test in tests
    ]


def _judged(
    one: str, other: str, test: _Test, adjusted: float | None, tainted: Sequence[str]
) -> Claim:
    """The claim that the better of two is better; of a best and its baseline that the best is."""
    difference, why, p_value, scope = test
    if difference is not None and difference < 0 and not other.startswith("the baseline"):
        one, other, difference = other, one, -difference
    standing: ClaimStatus = "cannot be told"
    if tainted:
        standing, why = "not supported", f"{why}; but {tainted[0]}"
    elif adjusted is not None and adjusted < LEVEL and (difference or 0) > 0:
        standing = "supported"
    elif adjusted is not None:
        standing, scope = "not supported", ""
    return Claim(
        claim=f"{one} is better than {other}",
        better=one,
        worse=other,
        difference=difference,
        p_value=p_value,
        p_value_holm=adjusted,
        standing=standing,
        why=why,
        scope=scope,
    )


def _over_baselines(
    study: ForeignStudy,
    finals: Mapping[str, Sequence[Trial]],
    noise: selection_bias.Noise | None,
    bias: Mapping[str, float | None],
) -> Iterator[tuple[str, str, _Test]]:
    """Each group's best against its baseline, or against those of all groups."""
    for group, tested in finals.items():
        own = study.of(group)
        baselines = [t for t in own if t.baseline] or [t for t in study.usable if t.baseline]
        if baselines:
            test = _by_finals(study, tested, _finals(study, baselines))
            best, baseline = study.best(tuned(own)), study.best(baselines)
            test = test or _by_gain(study, best, baseline, noise, bias.get(group))
            yield f"the best of {of_group(group)}", f"the baseline {baselines[0].name}", test


def _finals(study: ForeignStudy, trials: Sequence[Trial]) -> Sequence[Trial]:
    """The trials of the one configuration that was tested, or trained again; else none.

    Of several that were tested the best on validation counts: by test it would be the luckiest.
    """
    tested: dict[object, list[Trial]] = defaultdict(list)
    for trial in trials:
        if trial.test is not None and study.test_metric and study.metric:
            tested[trial.config].append(trial)
    if tested:
        return max(tested.values(), key=lambda rows: _mean_value(study, rows))
    again = selection_bias.repeats(trials)
    return again[0] if len(again) == 1 else ()


def _mean_value(study: ForeignStudy, trials: Sequence[Trial]) -> float:
    values = present(trial.value for trial in trials)
    return study.sign * float(np.mean(values)) if values else -math.inf


def _by_finals(study: ForeignStudy, a: Sequence[Trial], b: Sequence[Trial]) -> _Test | None:
    """By trainings with different seeds, or by one training each on test."""
    return _by_repeats(study, a, b) or _by_test_images(study, a, b)


def _by_repeats(study: ForeignStudy, a: Sequence[Trial], b: Sequence[Trial]) -> _Test | None:
    on_test = all(trial.test is not None for trial in (*a, *b))
    samples = []
    for trials in (a, b):
        by_seed = {trial.seed: trial for trial in trials if trial.seed is not None}
        values = present(t.test if on_test else study.score(t) for t in by_seed.values())
        samples.append((study.test_sign if on_test else study.sign) * np.array(values))
    sizes = [len(sample) for sample in samples]
    # A spread needs two; none is left of what was rounded, or of the same training twice.
    if min(sizes) < 2 or not all(map(np.ptp, samples)):  # noqa: PLR2004 (a spread)
        return None
    difference = float(np.mean(samples[0]) - np.mean(samples[1]))
    part = study.test_metric if on_test else study.metric or study.test_metric
    why = f"Welch's t on {part}, {sizes[0]} and {sizes[1]} seeds"
    return _Test(difference, why, float(ttest_ind(*samples, equal_var=False).pvalue), MODELS)


def _by_test_images(study: ForeignStudy, a: Sequence[Trial], b: Sequence[Trial]) -> _Test | None:
    """The difference of two accuracies on test, as if on other images: no pairing is known here."""
    images = study.said.test_images
    shares = present(selection_bias.accuracy_share(study, trial, test=True) for trial in (*a, *b))
    if images is None or not len(a) == len(b) == 1 or len(shares) < len(a) + len(b):
        return None
    difference = study.test_sign * (a[0].test or 0.0) - study.test_sign * (b[0].test or 0.0)
    deviation = math.sqrt(sum(share * (1 - share) for share in shares) / images)
    p_value = float(2 * ndtr(-abs(shares[0] - shares[1]) / deviation))
    why = f"two shares of {images:,} test images, one training each"
    return _Test(difference, why, p_value, NETWORKS)


def _by_searches(study: ForeignStudy, one: str, other: str) -> _Test:
    """Trials permuted between two searches; the statistic is the expected best of as many of each.

    It takes trials for independent. Those of a sampler that learns are not: one search is then one
    draw, whatever its trials are.
    """
    a, b = (
        study.sign * selection_bias.config_means(study, tuned(study.of(group)))[:, 0]
        for group in (one, other)
    )
    equal = min(len(a), len(b))
    if equal < 1:
        return _Test(None, "a group has no trial with a value")
    difference = expected_best(a.tolist(), equal) - expected_best(b.tolist(), equal)
    if study.metric is None:
        return _Test(difference, "only test is recorded, and of one training each")
    if not (study.said.independent or study.raw.independent):
        why = (
            f"one search each: at {counted(equal, 'trial')} of each, but the luck of a search that "
            "learns is in none of these files; --independent says that trials were drawn at random"
        )
        return _Test(difference, why)
    if equal < FEWEST_CONFIGS:
        return _Test(difference, f"{counted(equal, 'trial')} of each: too few")
    k = (equal + 1) // 2
    why = f"trials permuted, expected best of {k} of each"
    return _Test(difference, why, permutation_p_value(a, b, k), SEARCHES)


def permutation_p_value(a: np.ndarray, b: np.ndarray, k: int, *, seed: int = 0) -> float:
    """Two-sided p of the difference in the expected best of k, trials permuted between a and b."""
    weights = [_weights(len(each), k) for each in (a, b)]

    def statistic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        return np.asarray(np.sort(first) @ weights[0] - np.sort(second) @ weights[1])

    both = np.concatenate([a, b])
    shuffled = np.random.default_rng(seed).permuted(np.tile(both, (PERMUTATIONS, 1)), axis=1)
    null = statistic(shuffled[:, : len(a)], shuffled[:, len(a) :])
    extreme = np.abs(null) >= abs(float(statistic(a, b))) - 1e-12
    return float((1 + extreme.sum()) / (1 + PERMUTATIONS))


def _weights(n: int, k: int) -> np.ndarray:
    """The share of each of n values, ascending, in the expected best of k."""
    return np.array([math.comb(i, k - 1) for i in range(n)]) / math.comb(n, k)


def _by_gain(
    study: ForeignStudy,
    best: Trial | None,
    baseline: Trial | None,
    noise: selection_bias.Noise | None,
    bias: float | None,
) -> _Test:
    """The best trial's lead over the baseline, less what of it is luck, against their noise."""
    if best is None or baseline is None:
        return _Test(None, "one of them has no value")
    gain = study.sign * ((study.score(best) or 0.0) - (study.score(baseline) or 0.0))
    if noise is None or bias is None:
        why = (
            "one training each, and nothing here says how noisy a measurement is: no seeds, no "
            "folds; --validation-images tells the number of images"
        )
        return _Test(gain, why)
    score = (gain - bias) / (noise.deviation * math.sqrt(2))
    tail = ndtr(-abs(score)) if math.isinf(noise.degrees) else student.sf(abs(score), noise.degrees)
    why = (
        f"lead of {gain:.4g}, of which {bias:.4g} is expected as luck, against noise of "
        f"{noise.deviation:.4g} ({noise.source})"
    )
    scope = f"{MODELS}, on validation" if noise.source == selection_bias.SEEDS else NETWORKS
    return _Test(gain - bias, why, float(2 * tail), scope)
