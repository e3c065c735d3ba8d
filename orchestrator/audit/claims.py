"""Which comparisons survive: pairs of groups at equal budget, the best against the baseline.

Repeated trainings are compared by Welch's t, single ones on test by the spread of their images,
searches alone by permuting their trials; all adjusted by Holm (1979) for what was tested.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Final

import numpy as np
from scipy.special import ndtr
from scipy.stats import t as student
from scipy.stats import ttest_ind

from orchestrator.analysis.selection import expected_best
from orchestrator.audit.finding import Claim, Finding, of_group
from orchestrator.audit.foreign import ForeignStudy, Trial
from orchestrator.audit.optimism import (
    Noise,
    Optimism,
    accuracy_share,
    config_means,
    repeats,
)
from orchestrator.audit.test_use import TAINTING
from orchestrator.stats.claims import holm

LEVEL: Final = 0.05
PERMUTATIONS: Final = 2000
FEWEST_CONFIGS: Final = 4
"""Of each search, that a permutation of them can say anything."""
NETWORKS: Final = "these trained networks only"
MODELS: Final = "the models, as they were tuned here"
SEARCHES: Final = "these searches, on validation"


def judge_claims(
    study: ForeignStudy,
    findings: Sequence[Finding],
    noise: Noise | None,
    optimisms: Sequence[Optimism],
) -> list[Claim]:
    """What may be claimed: each pair of groups, and each group's best against its baseline."""
    tainted = sorted({each.name for each in findings if each.name in TAINTING})
    luck = {each.group: each.optimism for each in optimisms}
    tuned = [
        group for group in study.groups if any(not trial.baseline for trial in study.of(group))
    ]
    claims = [_between(study, one, other) for one, other in combinations(tuned, 2)]
    claims += list(_over_baselines(study, tuned, noise, luck))
    tested = [claim for claim in claims if claim.p_value is not None]
    adjusted = holm([claim.p_value or 0.0 for claim in tested])
    by_claim = {claim.claim: float(p) for claim, p in zip(tested, adjusted, strict=True)}
    return [_judged(claim, by_claim.get(claim.claim), tainted) for claim in claims]


def _judged(claim: Claim, adjusted: float | None, tainted: Sequence[str]) -> Claim:
    if tainted:
        why = f"{claim.why}; but {tainted[0]}"
        return replace(claim, p_value_holm=adjusted, standing="not supported", why=why)
    if adjusted is None:
        return claim
    supported = adjusted < LEVEL and (claim.difference or 0) > 0
    return replace(
        claim,
        p_value_holm=adjusted,
        standing="supported" if supported else "not supported",
        scope=claim.scope if supported else "",
    )


def _between(study: ForeignStudy, one: str, other: str) -> Claim:
    """One of two groups is better."""
    for compare in (_by_repeats, _by_test_images):
        finals = [_finals(study, study.of(group), tuned=True) for group in (one, other)]
        claim = compare(study, one, other, *finals)
        if claim is not None:
            return claim
    return _by_searches(study, one, other)


def _over_baselines(
    study: ForeignStudy, groups: Sequence[str], noise: Noise | None, luck: dict[str, float | None]
) -> Iterator[Claim]:
    shared = [trial for trial in study.usable if trial.baseline]
    for group in groups:
        own = study.of(group)
        baselines = [trial for trial in own if trial.baseline] or shared
        if not baselines:
            continue
        tuned = [trial for trial in own if not trial.baseline]
        worse = f"the baseline {baselines[0].name}"
        better = f"the best of {of_group(group)}"
        finals = _finals(study, own, tuned=True), _finals(study, baselines, tuned=False)
        claim = _by_repeats(study, better, worse, *finals)
        claim = claim or _by_test_images(study, better, worse, *finals)
        yield claim or _by_gain(
            study,
            better,
            worse,
            tuned=tuned,
            baselines=baselines,
            noise=noise,
            luck=luck.get(group),
        )


def _finals(study: ForeignStudy, trials: Sequence[Trial], *, tuned: bool) -> list[Trial]:
    """A group's trials of the one configuration that was tested, or trained again; else none.

    Of several that were tested the best on validation counts: by test it would be the luckiest.
    """
    own = [trial for trial in trials if trial.baseline != tuned]
    tested = [trial for trial in own if trial.test is not None] if study.test_metric else []
    if study.metric is None:
        tested = []
    by_config: dict[object, list[Trial]] = {}
    for trial in tested:
        by_config.setdefault(trial.config, []).append(trial)
    if len(by_config) == 1:
        return next(iter(by_config.values()))
    if by_config:
        return max(by_config.values(), key=lambda rows: _mean_value(study, rows))
    again = repeats(own)
    if len(again) == 1:
        return again[0]
    return []


def _mean_value(study: ForeignStudy, trials: Sequence[Trial]) -> float:
    values = [trial.value for trial in trials if trial.value is not None]
    return study.sign * float(np.mean(values)) if values else -math.inf


def _by_repeats(
    study: ForeignStudy, one: str, other: str, a: Sequence[Trial], b: Sequence[Trial]
) -> Claim | None:
    """Welch's t over trainings with different seeds."""
    on_test = all(trial.test is not None for trial in (*a, *b))
    samples = [
        [
            study.sign * value
            for trial in {each.seed: each for each in own if each.seed is not None}.values()
            if (value := trial.test if on_test else study.score(trial)) is not None
        ]
        for own in (a, b)
    ]
    if min(map(len, samples)) < 2:  # noqa: PLR2004 (a spread needs two)
        return None
    difference = float(np.mean(samples[0]) - np.mean(samples[1]))
    if not (np.ptp(samples[0]) and np.ptp(samples[1])):
        return None  # as they were rounded, or the same training twice
    p_value = float(ttest_ind(*samples, equal_var=False).pvalue)
    part = study.test_metric if on_test else (study.metric or study.test_metric)
    return _claim(
        one,
        other,
        difference,
        p_value,
        f"Welch's t on {part}, {len(samples[0])} and {len(samples[1])} seeds",
        scope=MODELS,
    )


def _by_test_images(
    study: ForeignStudy, one: str, other: str, a: Sequence[Trial], b: Sequence[Trial]
) -> Claim | None:
    """The difference of two accuracies on test, as if on other images: no pairing is known here."""
    if study.test_images is None or not a or not b:
        return None
    shares = [accuracy_share(study, own[0], test=True) for own in (a, b)]
    if len(a) > 1 or len(b) > 1 or None in shares:
        return None
    values = [study.sign * (own[0].test or 0.0) for own in (a, b)]
    variance = sum((s or 0) * (1 - (s or 0)) for s in shares) / study.test_images
    gap = abs((shares[0] or 0) - (shares[1] or 0))
    p_value = float(2 * ndtr(-gap / math.sqrt(variance)))
    why = f"two shares of {study.test_images:,} test images, one training each"
    return _claim(one, other, values[0] - values[1], p_value, why, scope=NETWORKS)


def _by_searches(study: ForeignStudy, one: str, other: str) -> Claim:
    """Trials permuted between two searches; the statistic is the expected best of as many of each.

    It takes trials for independent. Those of a sampler that learns are not: one search is then one
    draw, whatever its trials are.
    """
    values = [
        study.sign * np.array([value for value, _ in config_means(study, _tuned(study.of(group)))])
        for group in (one, other)
    ]
    sizes = [len(each) for each in values]
    if min(sizes) < 1:
        return _untested(one, other, None, "a group has no trial with a value")
    equal = min(sizes)
    difference = expected_best(values[0].tolist(), equal) - expected_best(values[1].tolist(), equal)
    if study.metric is None:
        return _untested(one, other, difference, "only test is recorded, and of one training each")
    if not study.independent:
        why = (
            f"one search each: at {equal} trials of each, but the luck of a search that learns is "
            "in none of these files; --independent says that trials were drawn at random"
        )
        return _untested(one, other, difference, why)
    if equal < FEWEST_CONFIGS:
        return _untested(one, other, difference, f"{equal} trials are too few")
    k = (equal + 1) // 2
    why = f"trials permuted, expected best of {k} of each"
    return _claim(
        one, other, difference, permutation_p_value(values[0], values[1], k), why, scope=SEARCHES
    )


def permutation_p_value(a: np.ndarray, b: np.ndarray, k: int, *, seed: int = 0) -> float:
    """Two-sided p of the difference in the expected best of k, trials permuted between a and b."""
    weights = [_weights(len(each), k) for each in (a, b)]

    def statistic(first: np.ndarray, second: np.ndarray) -> np.ndarray:
        found: np.ndarray = np.sort(first) @ weights[0] - np.sort(second) @ weights[1]
        return found

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
    better: str,
    worse: str,
    *,
    tuned: Sequence[Trial],
    baselines: Sequence[Trial],
    noise: Noise | None,
    luck: float | None,
) -> Claim:
    """The best trial's lead over the baseline, less what of it is luck, against their noise."""
    best, baseline = study.best(tuned), study.best(baselines)
    if best is None or baseline is None:
        return _untested(better, worse, None, "one of them has no value")
    values = [study.score(trial) or 0.0 for trial in (best, baseline)]
    gain = study.sign * (values[0] - values[1])
    if noise is None or luck is None:
        why = (
            "one training each, and nothing here says how noisy a measurement is: no seeds, no "
            "folds; --validation-images tells the number of images"
        )
        return _untested(better, worse, gain, why)
    honest = gain - luck
    score = honest / (noise.deviation * math.sqrt(2))
    tail = ndtr(-abs(score)) if math.isinf(noise.degrees) else student.sf(abs(score), noise.degrees)
    why = (
        f"lead of {gain:.4g}, of which {luck:.4g} is expected as luck, against noise of "
        f"{noise.deviation:.4g} ({noise.source})"
    )
    scope = NETWORKS if noise.source != "seeds" else f"{MODELS}, on validation"
    return _claim(better, worse, honest, float(2 * tail), why, scope=scope)


def _tuned(trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if not trial.baseline]


def _claim(one: str, other: str, difference: float, p: float, why: str, *, scope: str) -> Claim:
    if difference < 0 and not other.startswith("the baseline"):
        one, other, difference = other, one, -difference
    return replace(_untested(one, other, difference, why), p_value=p, scope=scope)


def _untested(one: str, other: str, difference: float | None, why: str) -> Claim:
    if difference is not None and difference < 0 and not other.startswith("the baseline"):
        one, other, difference = other, one, -difference
    return Claim(
        claim=f"{one} is better than {other}",
        better=one,
        worse=other,
        difference=difference,
        standing="cannot be told",
        why=why,
    )
