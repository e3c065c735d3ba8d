"""Was the test part used to choose? Names and values that say so; nothing is taken for granted."""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.audit.finding import IN_ORDER, SIN, UNKNOWN, Finding, count, listed, of_group
from orchestrator.audit.foreign import ForeignStudy, Trial

CHECK: Final = "use of the test set"
CHOSEN_BY_TEST: Final = "chosen by a test metric"
SAME_AS_TEST: Final = "validation and test are the same numbers"
ONLY_TEST: Final = "only test was recorded"
BEST_BY_TEST: Final = "the best by test is the one chosen"
BEST_EPOCH: Final = "epochs chosen by test"
DURING_SEARCH: Final = "test measured during the search"
TAINTING: Final = frozenset({CHOSEN_BY_TEST, SAME_AS_TEST, ONLY_TEST, BEST_BY_TEST, BEST_EPOCH})
"""Sins after which test results are no longer those of unseen images."""
FINALS: Final = 2
"""Configurations of a group that may be tested: its winner and its baseline."""
FEWEST_MARKED: Final = 5
"""Tested trials among which one is marked: of fewer it is the best by test too often by chance."""
FEWEST_EQUAL: Final = {2: 6, 3: 4}
"""Decimals of an accuracy to trials that must agree before it is no coincidence; else three."""
FEWEST_VALUES: Final = 3
FEWEST_LUCKY: Final = 2
"""Trials whose best test value is above that of the epoch that validation would choose."""
ROUNDING: Final = 1e-9
PERCENT: Final = 1.5
"""Above it an accuracy is in percent."""


def check_test_use(study: ForeignStudy) -> Iterator[Finding]:
    """Each way in which test was used to choose; else whether it was not, as far as can be seen."""
    sins = [
        sin
        for check in (_by_name, _same_numbers, _only_test, _best_marked, _best_epoch)
        for sin in check(study)
    ]
    if not any(sin.name in {CHOSEN_BY_TEST, ONLY_TEST} for sin in sins):
        sins += _during_search(study)
    yield from sins
    if not sins:
        yield _none_found(study)


def _by_name(study: ForeignStudy) -> Iterator[Finding]:
    if study.metric_of_test and _most_points(study) > 1:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=CHOSEN_BY_TEST,
            sentence=f"Trials were chosen by {study.metric}, which by its name is measured on the "
            "test part: the test result of the chosen one is too good.",
            evidence=(f"{count(len(study.usable), 'trial')} have a value of {study.metric}",),
        )


def _same_numbers(study: ForeignStudy) -> Iterator[Finding]:
    pairs = [(t.value, t.test) for t in study.usable if t.value is not None and t.test is not None]
    values = {value for value, _ in pairs}
    fewest = FEWEST_EQUAL.get(_decimals(sorted(values)), FEWEST_VALUES)
    same = all(abs(value - test) <= 1e-12 * max(1.0, abs(value)) for value, test in pairs)
    if len(values) >= FEWEST_VALUES and len(pairs) >= fewest and same:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=SAME_AS_TEST,
            sentence=f"{study.metric}, by which trials were chosen, is {study.test_metric} under "
            "another name.",
            evidence=(
                f"they are equal in all {len(pairs)} trials that have both, with {len(values)} "
                "different values",
            ),
        )


def _decimals(values: Sequence[float]) -> int:
    """The decimals of accuracies as fractions; those in percent have two fewer than they show."""
    scale = 100 if values and max(values) > PERCENT else 1
    for decimals in FEWEST_EQUAL:
        if all(abs(v / scale - round(v / scale, decimals)) < ROUNDING for v in values):
            return decimals
    return max(FEWEST_EQUAL) + 1


def _only_test(study: ForeignStudy) -> Iterator[Finding]:
    if study.metric is None and _most_points(study) > FINALS:
        group = max(study.groups, key=lambda name: _points(study.of(name)))
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=ONLY_TEST,
            sentence=f"{study.test_metric} is the only measure of these trials: whoever chose "
            "among them had nothing but test to choose by.",
            evidence=(
                f"{count(_points(study.of(group)), 'configuration')} of {of_group(group)} have it, "
                "and no measure on validation",
            ),
        )


def _best_marked(study: ForeignStudy) -> Iterator[Finding]:
    marked_groups = {trial.group for trial in study.usable if trial.chosen}
    scopes = [study.of(group) for group in study.groups if group in marked_groups]
    if len(marked_groups) == 1:
        scopes = [study.usable, *scopes]
    evidence = list(
        dict.fromkeys(line for scope in scopes if (line := _better_by_value(study, scope)))
    )
    if evidence:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=BEST_BY_TEST,
            sentence="The trial that is marked as chosen is the best on test, and not the best on "
            "validation.",
            evidence=evidence[:1] if len(marked_groups) == 1 else evidence,
        )


def _better_by_value(study: ForeignStudy, trials: Sequence[Trial]) -> str | None:
    """What is odd about the one trial that is marked: best by test, but not by validation."""
    tested = [t for t in trials if t.test is not None]
    marked = [t for t in tested if t.chosen]
    if len(marked) != 1 or len(tested) < FEWEST_MARKED:
        return None
    (chosen,) = marked
    if chosen.value is None or chosen.test is None:
        return None
    beaten = [t for t in tested if t is not chosen and not _ahead(study, chosen, t)]
    ahead = [t for t in tested if t.value is not None and study.better(t.value, chosen.value)]
    if beaten or not ahead:
        return None
    return (
        f"{chosen.name} has the best {study.test_metric} of {len(tested)} tested trials "
        f"({chosen.test:.6g}), but {count(len(ahead), 'trial')} a better {study.metric} than its "
        f"{chosen.value:.6g}"
    )


def _ahead(study: ForeignStudy, one: Trial, other: Trial) -> bool:
    assert one.test is not None
    assert other.test is not None
    return study.better(one.test, other.test)


def _best_epoch(study: ForeignStudy) -> Iterator[Finding]:
    """The best test value over epochs is reported, and is not that of the best validation epoch."""
    compared = 0
    lucky = []
    for trial in study.usable:
        reported = study.best_tests.get(trial.name)
        if reported is None or len(trial.test_curve) < FEWEST_VALUES:
            continue
        if len(trial.curve) != len(trial.test_curve):
            continue
        compared += 1
        pick = max if study.sign > 0 else min
        best = pick(range(len(trial.curve)), key=lambda epoch: trial.curve[epoch])
        honest = trial.test_curve[best]
        if reported != pick(trial.test_curve):
            return
        if study.better(reported, honest):
            lucky.append((trial, reported - honest))
    if len(lucky) >= FEWEST_LUCKY:
        trial, gain = max(lucky, key=lambda pair: abs(pair[1]))
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=BEST_EPOCH,
            sentence=f"{study.best_test_metric} is the best test value of all epochs, not that of "
            "the epoch that validation would choose.",
            evidence=(
                f"so in {len(lucky)} of {count(compared, 'trial')}; most in {trial.name}, by "
                f"{abs(gain):.4g}",
            ),
        )


def _during_search(study: ForeignStudy) -> Iterator[Finding]:
    if not study.knows_params or study.metric is None:
        return
    evidence = []
    for group in study.groups:
        tested = [trial for trial in study.of(group) if trial.test is not None]
        if _points(tested) > FINALS:
            looks = sum(max(1, len(trial.test_curve)) for trial in tested)
            evidence.append(
                f"{count(_points(tested), 'configuration')} of {of_group(group)} have "
                f"{study.test_metric}, measured {count(looks, 'time')}; its finals would be "
                f"{FINALS} at most"
            )
    if evidence:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=DURING_SEARCH,
            sentence="Test was measured for trials of the search, before the choice or beside it. "
            "Whether somebody chose by it, these files do not say; they cannot show that nobody "
            "did.",
            evidence=evidence,
        )


def _none_found(study: ForeignStudy) -> Finding:
    name = study.test_metric
    if study.metric is None or name is None:
        what = "validation" if name is not None else "test"
        return Finding(
            check=CHECK,
            verdict=UNKNOWN,
            sentence=f"No measure on {what} is recorded here"
            + ("." if study.metric is None else f", and {study.metric} may be of any part."),
        )
    tested = [trial for trial in study.usable if trial.test is not None]
    if not tested:
        return Finding(
            check=CHECK, verdict=UNKNOWN, sentence=f"{name} is recorded of no trial with a result."
        )
    if not study.knows_params and len({(t.group, t.config) for t in tested}) > FINALS * len(
        study.groups
    ):
        return Finding(
            check=CHECK,
            verdict=UNKNOWN,
            sentence=f"{name} is recorded of {count(len(tested), 'trial')}, but nothing here tells "
            "hyperparameters, so finals and trials of a search look alike.",
        )
    return Finding(
        check=CHECK,
        verdict=IN_ORDER,
        sentence=f"{name} is recorded of finals alone: {count(len(tested), 'trial')} "
        f"({listed([trial.name for trial in tested])}).",
    )


def _points(trials: Sequence[Trial]) -> int:
    return len({trial.point for trial in trials if trial.params})


def _most_points(study: ForeignStudy) -> int:
    """Distinct hyperparameters of the group that has the most."""
    return max((_points(study.of(group)) for group in study.groups), default=0)
