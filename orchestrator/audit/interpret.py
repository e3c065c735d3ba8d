"""Tells apart what the entries of foreign trials mean: by what the caller says, then by names."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from orchestrator.analysis.section import present
from orchestrator.audit import names
from orchestrator.audit.finding import listed
from orchestrator.audit.foreign import ForeignStudy, RawStudy, RawTrial, Said, Trial

_TRUE: Final = frozenset({"true", "yes", "y", "1", "1.0", "x"})
_BASELINE_WORDS: Final = frozenset({"baseline", "default"})
_WRITTEN_NUMBER: Final = re.compile(r"[-+]?(\d[\d., ]*%?|inf(inity)?)", re.IGNORECASE)
"""A number that is none to Python or not finite: `85.3%`, `0,853`, `inf`."""
SHOWN: Final = 12
"""Columns that an error names."""


def interpret(raw: RawStudy, said: Said) -> ForeignStudy:
    """A study whose entries have been interpreted.

    Raises:
        ValueError: There is no trial, a column that was named is missing, or none can be found.
    """
    columns = list(dict.fromkeys(name for trial in raw.trials for name in trial.fields))
    if not raw.trials:
        raise ValueError(f"a study must have trials, but {raw.path} has none")
    _check_named(raw, columns, said)
    numbers = [name for name in columns if _is_numeric(raw.trials, name)]
    folds = names.is_cross_validation(columns)
    params = {name for trial in raw.trials for name in trial.params or ()}
    measures = [n for n in columns if names.measure(n) and not (names.is_param(n) or n in params)]
    strays = {n: stray for n in measures if n not in numbers and (stray := _stray(raw, n))}
    sides = {
        name: names.side(name, cross_validation=folds)
        for name in measures
        if name in {*numbers, *strays} and not names.plain(name).startswith(("std_", "rank_"))
    }
    metric = said.metric or raw.objective or _metric(sides)
    test = said.test_metric or _test_metric(sides, metric)
    if metric is None:  # else it would be said that nothing but test was recorded
        choosing = {"validation", "unsaid"}
        _check_filled(raw, [name for name in measures if names.side(name) in choosing])
        _check_unusual(raw.trials, [n for n in numbers if n not in {*measures, *params}])
    for name in (metric, test):
        if name in strays and name not in {said.metric, said.test_metric, raw.objective}:
            raise ValueError(f"{name} must have finite numbers, but {strays[name]}")
    chosen_by = metric or test
    if chosen_by is None:
        raise ValueError(
            "--metric must name the column that trials were chosen by, since none of "
            f"{listed(numbers or columns, SHOWN)} has a usual name"
        )
    texts = [n for n in columns if any(isinstance(t.fields.get(n), str) for t in raw.trials)]
    group = said.group or raw.group or names.first_of(texts, names.GROUPS)
    seed = said.seed_column or names.first_of(columns, names.SEEDS)
    roles = {
        "value": metric,
        "test": None if test == metric else test,
        "best_test": next((n for n, s in sides.items() if s == "test" and _is_extreme(n)), None),
        "group": group,
        "seed": seed,
        "epochs": names.first_of(columns, names.EPOCHS),
        "seconds": names.first_of(columns, names.SECONDS),
        "chosen": names.first_of(columns, names.CHOSEN),
    }
    splits = [n for n in numbers if folds and names.SPLIT.match(names.plain(n))]
    others = _others(raw, columns, {*measures, group, seed, metric, test})
    trials = tuple(_trial(trial, roles, splits, others) for trial in raw.trials)
    direction = said.direction or raw.direction
    higher = direction == "maximize" if direction else names.is_higher_better(chosen_by)
    return ForeignStudy(
        raw=raw,
        said=said,
        trials=_with_baseline(trials, said.baseline),
        metric=metric,
        metric_of_test=metric is not None and names.side(metric, cross_validation=folds) == "test",
        test_metric=roles["test"],
        best_test_metric=roles["best_test"],
        sign=1 if higher else -1,
        group_name=group,
        seed_name=seed,
        knows_params=any(trial.params for trial in trials),
    )


def _check_named(raw: RawStudy, columns: Sequence[str], said: Said) -> None:
    fields = ("metric", "test_metric", "group", "seed_column")
    named = {f"--{field.replace('_', '-')} ": getattr(said, field) for field in fields}
    named = {flag: name for flag, name in named.items() if name}
    missing = [f"{flag}{name!r}" for flag, name in named.items() if name not in columns]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must name columns of the trials: {listed(columns, SHOWN)}"
        )
    for flag, name in named.items():
        _check_filled(raw, [name], flag)


def _check_filled(raw: RawStudy, columns: Sequence[str], of: str = "") -> None:
    """Checks that columns have a value in some trial; `of` is what they were named for."""
    for name in columns:
        if all(trial.fields.get(name) is None for trial in raw.trials):
            raise ValueError(
                f"{of}{name} must have a value in some trial, but none of the {len(raw.trials)} in "
                f"{raw.path} has one"
            )


def _check_unusual(trials: Sequence[RawTrial], numbers: Sequence[str]) -> None:
    """Checks that no number that differs between trials is of validation by its name."""
    may_be = [
        name
        for name in numbers
        if names.side(name) == "validation"
        and not names.is_param(name)
        and not names.HYPERPARAMETERS & set(names.tokens(name))
        and len({trial.fields.get(name) for trial in trials} - {None}) > 1
    ]
    if may_be:
        raise ValueError(
            "--metric must name the column that trials were chosen by, which may be "
            f"{listed(may_be, SHOWN)}: of validation by its name, but no usual measure"
        )


def _is_numeric(trials: Sequence[RawTrial], name: str) -> bool:
    known = {_number(value) for trial in trials if (value := trial.fields.get(name)) is not None}
    return bool(known) and None not in known


def _stray(raw: RawStudy, name: str) -> str | None:
    """Where a column that has numbers, however written, has what is no finite one; else None."""
    known = [(t.name, v) for t in raw.trials if (v := t.fields.get(name)) is not None]
    strays = [(trial, value) for trial, value in known if _number(_as_number(value)) is None]
    written = all(_WRITTEN_NUMBER.fullmatch(str(value).strip()) for _, value in strays)
    if len(strays) == len(known) and not written:
        return None
    return next((f"trial {t} of {raw.path} has {v!r}" for t, v in strays), None)


def _as_number(value: Any) -> Any:
    """A text that is a number as one: a word makes texts of all that stands in its column."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # of an integer
        return None


def _metric(sides: Mapping[str, names.Side]) -> str | None:
    """What trials were chosen by, by names: a measure on validation, or on a part unsaid."""
    for part in ("validation", "unsaid"):
        own = [name for name, side in sides.items() if side == part]
        own = [name for name in own if not names.SPLIT.match(names.plain(name))] or own
        if own:
            return min(own, key=names.place)
    return None


def _test_metric(sides: Mapping[str, names.Side], metric: str | None) -> str | None:
    """The measure on the test part that is most like the metric."""
    tests = [name for name, part in sides.items() if part == "test" and name != metric]
    tests = [name for name in tests if not _is_extreme(name)] or tests
    if metric is None or names.measure(metric) in {"value", "values", "objective"}:
        return min(tests, key=names.place, default=None)
    like = [name for name in tests if names.without_side(name) == names.without_side(metric)]
    same = [name for name in tests if names.measure(name) == names.measure(metric)]
    return next(iter((*like, *same)), None)


def _is_extreme(name: str) -> bool:
    """Whether a measure is called the best over something."""
    return bool({"best", "max", "min"} & set(names.tokens(name)))


def _others(raw: RawStudy, columns: Sequence[str], taken: set[str | None]) -> list[str]:
    """Columns, of a file that does not say which are hyperparameters, that may be some."""
    if any(trial.params is not None for trial in raw.trials):
        return []
    free = [name for name in columns if name not in taken]
    unknown = [n for n in free if names.plain(n) not in names.KNOWN]
    return [name for name in free if names.is_param(name)] or [
        name for name in unknown if not names.MOMENTS & set(names.tokens(name))
    ]


def _trial(
    trial: RawTrial,
    roles: Mapping[str, str | None],
    splits: Sequence[str],
    others: Sequence[str],
) -> Trial:
    """A trial, by the columns of its roles; of those that may be hyperparameters some are."""
    fields, params = trial.fields, trial.params
    entries = {role: fields.get(column) if column else None for role, column in roles.items()}
    numbers = {role: _number(entry) for role, entry in entries.items()}
    group, seed = entries["group"], entries["seed"]
    config = {
        name: _text((fields if params is None else params).get(name))
        for name in (others if params is None else params)
        if name not in {roles["group"], roles["seed"]} and names.plain(name) not in names.SEEDS
    }
    repeatable = config or seed is not None  # else nothing tells whether it repeats another
    curve, test_curve = (tuple(trial.curves.get(roles[n] or "", ())) for n in ("value", "test"))
    return Trial(
        name=trial.name,
        group="" if group is None else str(group),
        state=trial.state,
        **{role: numbers[role] for role in ("value", "test", "seconds", "best_test")},
        config=tuple(sorted(config.items())) if repeatable else trial.name,
        params={
            name: text
            for name, text in config.items()
            if params is not None
            or names.is_param(name)
            or names.HYPERPARAMETERS & set(names.tokens(name))
        },
        seed=None if seed is None else _text(seed),
        epochs=max([numbers["epochs"] or 0, len(curve), len(test_curve)]) or None,
        splits=tuple(present(_number(fields.get(name)) for name in splits)),
        curve=curve,
        test_curve=test_curve,
        baseline=_is_baseline(fields, str(group or "")),
        chosen=_is_true(entries["chosen"]),
        given=trial.given,
    )


def _text(value: Any) -> str:
    """A value as text, the same for 32 and 32.0."""
    number = _number(value)
    return json.dumps(value, default=str) if number is None else f"{number:.12g}"


def _is_true(value: Any) -> bool:
    return str(value).strip().lower() in _TRUE


def _is_baseline(fields: Mapping[str, Any], group: str) -> bool:
    """Whether a trial is called a baseline, by a mark, its role, its name or its group."""
    called = [group]
    for name, value in fields.items():
        if names.plain(name) in names.BASELINES and _is_true(value):
            return True
        if names.plain(name) in (*names.ROLES, *names.NAMES) and isinstance(value, str):
            called.append(value)
    return any(_BASELINE_WORDS & set(names.tokens(text)) for text in called)


def _with_baseline(trials: tuple[Trial, ...], named: str | None) -> tuple[Trial, ...]:
    """The trials, those marked that the caller names as the baseline.

    Raises:
        ValueError: The name is of no trial and no group, or of no hyperparameter.
    """
    if named is None:
        return trials
    if "=" in named:
        pairs = [part.partition("=") for part in named.split(",")]
        asked = {name.strip(): _text(_parsed(text.strip())) for name, _, text in pairs}
        known = {name for trial in trials for name in trial.params}
        unknown = sorted(asked.keys() - known)
        if unknown:
            raise ValueError(
                "--baseline must name hyperparameters of the trials "
                f"({listed(sorted(known), SHOWN)}), but got {', '.join(unknown)}"
            )
        marks = [asked.items() <= trial.params.items() for trial in trials]
    else:
        marks = [trial.name == named for trial in trials]
        marks = marks if any(marks) else [trial.group == named for trial in trials]
        if not any(marks):
            raise ValueError(
                "--baseline must be a trial, a group, or name=value,... of hyperparameters, but "
                f"no trial and no group is called {named!r}"
            )
    return tuple(replace(t, baseline=mark) for t, mark in zip(trials, marks, strict=True))


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
