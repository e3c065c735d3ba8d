"""Was the test part used to choose? Names and values that say so; nothing is taken for granted."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from orchestrator.audit import names
from orchestrator.audit.finding import Check, Finding, listed, of_group
from orchestrator.audit.foreign import ForeignStudy, Trial
from orchestrator.cli import counted

CHECK: Final = Check("use of the test set")
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


def check_test_use(study: ForeignStudy) -> list[Finding]:
    """Each way in which test was used to choose; else whether it was not, as far as can be seen."""
    sins = [
        CHECK.sin(name, sentence.format(study=study), *evidence)
        for name, (find, sentence) in SINS.items()
        if (evidence := list(find(study)))
    ]
    if {CHOSEN_BY_TEST, ONLY_TEST} & {sin.name for sin in sins}:
        sins = [sin for sin in sins if sin.name != DURING_SEARCH]
    return sins or [_none_found(study)]


def _by_name(study: ForeignStudy) -> Iterator[str]:
    if study.metric_of_test and _most_points(study) > 1:
        yield f"{counted(len(study.usable), 'trial')} have a value of {study.metric}"


def _same_numbers(study: ForeignStudy) -> Iterator[str]:
    pairs = [(t.value, t.test) for t in study.usable if t.value is not None and t.test is not None]
    values = {value for value, _ in pairs}
    fewest = FEWEST_EQUAL.get(_decimals(sorted(values)), FEWEST_VALUES)
    same = all(abs(value - test) <= 1e-12 * max(1.0, abs(value)) for value, test in pairs)
    if len(values) >= FEWEST_VALUES and len(pairs) >= fewest and same:
        different = f"with {len(values)} different values"
        yield f"they are equal in all {len(pairs)} trials that have both, {different}"


def _decimals(values: Sequence[float]) -> int:
    """The decimals of accuracies as fractions; those in percent have two fewer than they show."""
    scale = 100 if values and max(values) > PERCENT else 1
    for decimals in FEWEST_EQUAL:
        if all(abs(v / scale - round(v / scale, decimals)) < ROUNDING for v in values):
            return decimals
    return max(FEWEST_EQUAL) + 1


def _only_test(study: ForeignStudy) -> Iterator[str]:
    if study.metric is None and _most_points(study) > FINALS:
        group = max(study.groups, key=lambda name: _points(study.of(name)))
        configurations = counted(_points(study.of(group)), "configuration")
        yield f"{configurations} of {of_group(group)} have it, and no measure on validation"


def _best_marked(study: ForeignStudy) -> Iterator[str]:
    marked = {trial.group for trial in study.usable if trial.chosen}
    scopes = [study.of(group) for group in study.groups if group in marked]
    if len(marked) != 1:
        yield from dict.fromkeys(line for own in scopes for line in _better_by_value(study, own))
        return
    evidence = [line for own in (study.usable, *scopes) for line in _better_by_value(study, own)]
    yield from evidence[:1]


def _better_by_value(study: ForeignStudy, trials: Sequence[Trial]) -> Iterator[str]:
    """What is odd about the one trial that is marked: best by test, but not by validation."""
    tests = [(trial, trial.test) for trial in trials if trial.test is not None]
    marked = [(trial, trial.value, test) for trial, test in tests if trial.chosen]
    if len(marked) != 1 or len(tests) < FEWEST_MARKED:
        return
    ((chosen, value, chosen_test),) = marked
    ahead = [t for t, _ in tests if study.better(t.value, value)]
    beaten = all(
        study.better(chosen_test, test, on_test=True)
        for trial, test in tests
        if trial is not chosen
    )
    if ahead and beaten:
        yield (
            f"{chosen.name} has the best {study.test_metric} of {len(tests)} tested trials "
            f"({chosen_test:.6g}), but {counted(len(ahead), 'trial')} a better {study.metric} than "
            f"its {value:.6g}"
        )


def _best_epoch(study: ForeignStudy) -> Iterator[str]:
    """The best test value over epochs is reported, and is not that of the best validation epoch."""
    compared = 0
    lucky = []
    pick = max if study.test_sign > 0 else min
    pick_curve = max if study.sign > 0 else min
    for trial in study.usable:
        reported, tests = trial.best_test, trial.test_curve
        if reported is None or len(tests) < FEWEST_VALUES or len(trial.curve) != len(tests):
            continue
        compared += 1
        if reported != pick(tests):
            return
        honest = tests[pick_curve(range(len(tests)), key=lambda epoch: trial.curve[epoch])]
        if study.better(reported, honest, on_test=True):
            lucky.append((abs(reported - honest), trial.name))
    if len(lucky) >= FEWEST_LUCKY:
        gain, name = max(lucky, key=lambda pair: pair[0])
        yield f"so in {len(lucky)} of {counted(compared, 'trial')}; most in {name}, by {gain:.4g}"


def _during_search(study: ForeignStudy) -> Iterator[str]:
    if not study.knows_params or study.metric is None:
        return
    for group in study.groups:
        tested = [trial for trial in study.of(group) if trial.test is not None]
        if _points(tested) > FINALS:
            looks = sum(max(1, len(trial.test_curve)) for trial in tested)
            yield (
                f"{counted(_points(tested), 'configuration')} of {of_group(group)} have "
                f"{study.test_metric}, measured {counted(looks, 'time')}; its finals would be "
                f"{FINALS} at most"
            )


def _none_found(study: ForeignStudy) -> Finding:
    name = study.test_metric
    if study.metric is None:
        return CHECK.unknown("No measure on validation is recorded here.")
    if name is None:
        return CHECK.unknown(_no_test_metric(study, study.metric))
    tested = [trial for trial in study.usable if trial.test is not None]
    if not tested:
        return CHECK.unknown(f"{name} is recorded of no trial with a result.")
    configs = {(trial.group, trial.config) for trial in tested}
    if not study.knows_params and len(configs) > FINALS * len(study.groups):
        return CHECK.unknown(
            f"{name} is recorded of {counted(len(tested), 'trial')}, but nothing here tells "
            "hyperparameters, so finals and trials of a search look alike."
        )
    return CHECK.in_order(
        f"{name} is recorded of finals alone: {counted(len(tested), 'trial')} "
        f"({listed([trial.name for trial in tested])})."
    )


def _no_test_metric(study: ForeignStudy, metric: str) -> str:
    """That no measure on test is known, or that those there are of something else."""
    columns = [*dict.fromkeys(name for trial in study.raw.trials for name in trial.fields)]
    folds = names.is_cross_validation(columns)
    sides = {n: names.side(n, cross_validation=folds) for n in columns if names.measure(n)}
    tests = [name for name, side in sides.items() if side == "test" and name != metric]
    if tests:
        return (
            f"Nothing on test is of the same measure as {metric}, by its name. Name what is by "
            f"--test-metric ({listed(tests)})."
        )
    may_be = "" if names.side(metric) == "validation" else f", and {metric} may be of any part"
    return f"No measure on test is recorded here{may_be}."


def _points(trials: Sequence[Trial]) -> int:
    """Distinct hyperparameters: trials with others were tried to find the best of them."""
    return len({tuple(sorted(trial.params.items())) for trial in trials if trial.params})


def _most_points(study: ForeignStudy) -> int:
    """Distinct hyperparameters of the group that has the most."""
    return max((_points(study.of(group)) for group in study.groups), default=0)


SINS: Final[Mapping[str, tuple[Callable[[ForeignStudy], Iterator[str]], str]]] = {
    CHOSEN_BY_TEST: (
        _by_name,
        "Trials were chosen by {study.metric}, which by its name is measured on the test part: "
        "the test result of the chosen one is too good.",
    ),
    SAME_AS_TEST: (
        _same_numbers,
        "{study.metric}, by which trials were chosen, is {study.test_metric} under another name.",
    ),
    ONLY_TEST: (
        _only_test,
        "{study.test_metric} is the only measure of these trials: whoever chose among them had "
        "nothing but test to choose by.",
    ),
    BEST_BY_TEST: (
        _best_marked,
        "The trial that is marked as chosen is the best on test, and not the best on validation.",
    ),
    BEST_EPOCH: (
        _best_epoch,
        "{study.best_test_metric} is the best test value of all epochs, not that of the epoch "
        "that validation would choose.",
    ),
    DURING_SEARCH: (
        _during_search,
        "Test was measured for trials of the search, before the choice or beside it. Whether "
        "somebody chose by it, these files do not say; they cannot show that nobody did.",
    ),
}
"""Name of a sin to what gives its evidence, if there is any, and what it is in a sentence."""
