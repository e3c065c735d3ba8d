"""How often does a verdict hold a claim that is false? Simulated predictions whose truth is known.

    python benchmarks/verdict_false_alarms.py [--repeats 1000] [--only nulls]

Nulls: models that are equally good. Margin: a candidate that is worse by exactly the margin.
Groups: images that come in groups which are alike. Histories: 50 looks at one sealed test set.
Each share is of claims held though they are false, which must be at most 5%.
"""

import argparse
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import scipy

from orchestrator.stats import bootstrap
from orchestrator.stats.claims import (
    Side,
    cautious_difference,
    claim_interval,
    claim_p_value,
    difference_p_value,
    holm,
)
from orchestrator.stats.intervals import MeanDifference, SeedRuns
from orchestrator.stats.looks import level

ALARM = 0.05
DRAWS = 500
"""Of the bootstrap, where a verdict has 2,000: 200 in histories."""
LOOKS = 50
MODELS = 3
COIN, SKILL, CHANGED = 0.5, 0.9, 0.2
"""How often a model is right by chance, how often a baseline is, and what a candidate changes."""
Hits = npt.NDArray[np.bool_]
Numbers = npt.NDArray[np.float64]


def sides(hits: Hits, groups: npt.NDArray[np.int64] | None = None) -> list[Side]:
    """Models as a verdict has them, of whether they are right, [models, seeds, images]."""
    flat = hits.reshape(-1, hits.shape[-1])
    draws = bootstrap.accuracy_draws(flat, draws=DRAWS, groups=groups).reshape(*hits.shape[:2], -1)
    return [
        Side(runs=SeedRuns(points=own.mean(axis=1), draws=of_own), hits=own)
        for own, of_own in zip(hits, draws, strict=True)
    ]


def is_held(candidate: Side, baseline: Side, *, margin: float, alpha: float) -> bool:
    """Whether a claim's p is at most alpha: of a margin, whether the interval lies above it."""
    if margin:
        return claim_interval(candidate, baseline, confidence=1 - alpha)[0] > -margin
    return claim_p_value(candidate, baseline) <= alpha


def made_up(
    accuracies: Numbers, seeds: int, images: int, luck: float, generator: np.random.Generator
) -> Hits:
    """Whether models are right, [models, seeds, images], with the given true accuracies.

    An image is easy or hard for all (0.8), for a model (0.5) and for a training (0.6, in standard
    deviations of a latent score), and a training has luck with all its images.
    """
    models = len(accuracies)
    deviation = np.sqrt(0.8**2 + 0.5**2 + 0.6**2 + luck**2)
    score = scipy.special.ndtri(accuracies)[:, None, None] * deviation
    score = score + 0.8 * generator.standard_normal((1, 1, images))
    score = score + 0.5 * generator.standard_normal((models, 1, images))
    score = score + luck * generator.standard_normal((models, seeds, 1))
    return np.asarray(score + 0.6 * generator.standard_normal((models, seeds, images)) > 0)


def nulls(repeats: int) -> Iterator[str]:
    """Three equal models, all pairs asked: the share with any p below 0.05 after Holm."""
    yield (
        "| nulls: test images | accuracy | seeds | training noise | a false difference "
        "| by the comparison's p of means | by resampling alone |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for images, accuracy in ((50, 0.7), (50, 0.95), (200, 0.7), (200, 0.98)):
        for seeds, luck in ((1, 0.0), (2, 0.1), (3, 0.0), (3, 0.1)):
            generator = np.random.default_rng(0)
            alarms = means = plain = 0
            for _ in range(repeats):
                true = np.full(MODELS, accuracy)
                models = sides(made_up(true, seeds, images, luck, generator))
                pairs = [*combinations(models, 2)]
                alarms += holm([difference_p_value(*pair) for pair in pairs]).min() < ALARM
                means += holm([_p_of_means(*pair) for pair in pairs]).min() < ALARM
                plain += (
                    holm([MeanDifference.of(a.runs, b.runs).p_value() for a, b in pairs]).min()
                    < ALARM
                )
            shares = " | ".join(f"{each / repeats:.1%}" for each in (alarms, means, plain))
            yield f"| {images} | {accuracy:.0%} | {seeds} | {luck} | {shares} |"


def _p_of_means(a: Side, b: Side) -> float:
    """As `comparison.parquet` has it."""
    return cautious_difference(a, b, None).p_value()


def at_the_margin(repeats: int) -> Iterator[str]:
    """A candidate that is worse by exactly the margin: the share held to be not worse by more."""
    yield "| margin: test images | accuracy | margin | seeds | training noise | held |"
    yield "| --- | --- | --- | --- | --- | --- |"
    for images, accuracy, margin in (
        *((50, 0.9, 0.005), (200, 0.9, 0.005), (600, 0.99, 0.005)),
        *((200, 0.7, 0.05), (600, 0.9, 0.02), (1000, 0.99, 0.005)),
    ):
        for seeds, luck in ((1, 0.0), (3, 0.1)):
            generator = np.random.default_rng(0)
            held = 0
            for _ in range(repeats):
                true = np.array([accuracy - margin, accuracy])
                models = sides(made_up(true, seeds, images, luck, generator))
                held += is_held(*models, margin=margin, alpha=ALARM)
            share = held / repeats
            yield f"| {images} | {accuracy:.0%} | {margin:.1%} | {seeds} | {luck} | {share:.1%} |"


def nearly_alike(repeats: int) -> Iterator[str]:
    """A candidate that differs from the baseline on the images alone that it loses."""
    yield "| margin, nearly alike: test images | margin | held | by resampling alone |"
    yield "| --- | --- | --- | --- |"
    for images, margin in ((50, 0.005), (200, 0.005), (600, 0.005), (800, 0.005)):
        generator = np.random.default_rng(0)
        held = plain = 0
        for _ in range(repeats):
            baseline = generator.random((1, images)) < SKILL
            lost = generator.random((1, images)) < margin / SKILL
            models = sides(np.stack([baseline & ~lost, baseline]))
            held += is_held(*models, margin=margin, alpha=ALARM)
            draws = models[0].runs.mean_draws - models[1].runs.mean_draws
            plain += bootstrap.percentile_interval(draws)[0] > -margin
        yield f"| {images} | {margin:.1%} | {held / repeats:.1%} | {plain / repeats:.1%} |"


def clustered(repeats: int) -> Iterator[str]:
    """Two equal models on groups of alike images, resampled as groups and as if they were not."""
    yield (
        "| groups | images of each | seeds | a false difference | images taken as alone "
        "| margin of 2 points held |"
    )
    yield "| --- | --- | --- | --- | --- | --- |"
    for number, sizes in ((5, (40,)), (10, (20,)), (30, (1, 30)), (50, (20,)), (200, (2, 8))):
        for seeds in (1, 3):
            generator = np.random.default_rng(0)
            alarms = plain = held = 0
            for _ in range(repeats):
                of_each = generator.integers(sizes[0], sizes[-1] + 1, size=number)
                groups = np.repeat(np.arange(number), of_each)
                models = sides(_grouped(groups, seeds, generator, 0.0), groups)
                alarms += difference_p_value(*models, groups=groups) < ALARM
                alone = sides(np.stack([model.hits for model in models]))
                plain += difference_p_value(*alone) < ALARM
                worse = sides(_grouped(groups, seeds, generator, 0.02), groups)
                held += claim_p_value(*worse, margin=0.02, groups=groups) < ALARM
            shown = " to ".join(map(str, sizes))
            shares = " | ".join(f"{each / repeats:.1%}" for each in (alarms, plain, held))
            yield f"| {number} | {shown} | {seeds} | {shares} |"


def _grouped(
    groups: npt.NDArray[np.int64], seeds: int, generator: np.random.Generator, worse: float
) -> Hits:
    """A candidate and a baseline of 75%, whose luck is with groups, [2, seeds, images]."""
    number, images = groups.max() + 1, len(groups)
    level_of = np.array([0.75 - worse, 0.75])
    score = scipy.special.ndtri(level_of)[:, None, None] * np.sqrt(0.6**2 + 0.6**2 + 0.6**2)
    score = score + 0.6 * generator.standard_normal((2, 1, number))[:, :, groups]
    score = score + 0.6 * generator.standard_normal((1, 1, images))
    return np.asarray(score + 0.6 * generator.standard_normal((2, seeds, images)) > 0)


@dataclass(frozen=True, kw_only=True)
class History:
    """What was seen of a test set so far.

    Attributes:
        baseline: Whether it is right, [images].
        said: Whether each earlier candidate was, [images] each.
        answers: Whether each one's claim was held.
    """

    baseline: Hits
    said: list[Hits]
    answers: list[bool]


Chooser = Callable[[History, np.random.Generator], Hits]


def independent(history: History, generator: np.random.Generator) -> Hits:
    """Another model each time, as good as the baseline."""
    return np.asarray(generator.random(len(history.baseline)) < COIN)


def climbing(history: History, generator: np.random.Generator) -> Hits:
    """Goes on from the model that was held last, and changes some of what it says."""
    held = [hits for hits, yes in zip(history.said, history.answers, strict=True) if yes]
    changed = generator.random(len(history.baseline)) < CHANGED
    return np.where(changed, independent(history, generator), (held or [history.baseline])[-1])


def seeing_accuracies(history: History, generator: np.random.Generator) -> Hits:
    """At last a majority of all that were above the baseline, as accuracies tell it."""
    better = [hits for hits in history.said if hits.mean() > history.baseline.mean()]
    if len(history.said) < LOOKS - 1 or not better:
        return independent(history, generator)
    votes = np.mean(better, axis=0) + 1e-9 * generator.standard_normal(len(history.baseline))
    return np.asarray(votes > COIN)


def histories(repeats: int) -> Iterator[str]:
    """50 claims on one test set that are all false: the share of histories with any that is held.

    Labels of two classes are random, so that whatever a model says it is right on half of all
    images; which it is right on is whether what it says is the label.
    """
    yield "| 50 looks: candidates | claim | any held, with the log | each at 5%, without |"
    yield "| --- | --- | --- | --- |"
    choosers: dict[str, Chooser] = {
        "another model each time": independent,
        "from the model held last": climbing,
        "from all accuracies, which the log hides": seeing_accuracies,
    }
    for name, choose in choosers.items():
        for margin in (0.0, 0.02):
            generator = np.random.default_rng(0)
            alarms = plain = 0
            for _ in range(repeats):
                spent, unspent = _history(choose, margin, 1000, generator)
                alarms, plain = alarms + spent, plain + unspent
            claim = f"not worse by {margin:.0%}" if margin else "better"
            yield f"| {name} | {claim} | {alarms / repeats:.1%} | {plain / repeats:.1%} |"


def _history(
    choose: Chooser, margin: float, images: int, generator: np.random.Generator
) -> tuple[bool, bool]:
    """Whether a false claim was held in one history, with the levels of the log and without.

    A candidate is worse by the margin: it loses that share of the images, whatever it says.
    """
    baseline = generator.random(images) < COIN
    history = History(baseline=baseline, said=[], answers=[])
    weights = generator.multinomial(images, np.full(images, 1 / images), size=200).T / images
    unspent = False
    for look in range(LOOKS):
        hits = tested = choose(history, generator)
        history.said.append(hits)
        if margin:
            # Of a fair coin's hits, so many are lost that the margin is exactly missed.
            tested = hits & (generator.random(images) >= 2 * margin)
        both = np.stack([tested, baseline]).astype(np.float64)
        models = [
            Side(runs=SeedRuns(points=own.mean(keepdims=True), draws=own[None] @ weights), hits=now)
            for own, now in zip(both, (tested[None], baseline[None]), strict=True)
        ]
        left = level(look, sum(history.answers), total=ALARM)
        history.answers.append(is_held(*models, margin=margin, alpha=left))
        unspent = unspent or is_held(*models, margin=margin, alpha=ALARM)
    return any(history.answers), unspent


def main() -> None:
    """Simulates and prints Markdown tables."""
    parts = {
        "nulls": nulls,
        "margin": at_the_margin,
        "alike": nearly_alike,
        "groups": clustered,
        "histories": histories,
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=1000)
    parser.add_argument("--only", choices=parts)
    options = parser.parse_args()
    started = time.process_time()
    for name, part in parts.items():
        if options.only in {None, name}:
            for line in part(options.repeats):
                print(line, flush=True)
            print()
    print(
        f"{options.repeats} repeats a row, so a true 5% is seen as 5% +- 1.4% (95%); numpy "
        f"{np.__version__}, scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{time.process_time() - started:.0f} CPU seconds on {platform.machine()}"
    )


if __name__ == "__main__":
    main()
