"""Tells apart what the entries of foreign trials mean: by what the caller says, then by names."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from orchestrator.audit import names
from orchestrator.audit.foreign import Fields, ForeignStudy, RawStudy, RawTrial, Trial

_TRUE: Final = frozenset({"true", "yes", "y", "1", "1.0", "x"})
_BASELINE_WORDS: Final = frozenset({"baseline", "default"})
SHOWN: Final = 12
"""Columns that an error names."""


@dataclass(frozen=True, kw_only=True)
class Said:
    """What the caller says of a study; None is left to the names of its columns.

    Attributes:
        metric: Column that trials were chosen by.
        test_metric: Column of the same measure on the test part.
        group: Column of the model, family or method.
        seed: Column of seeds.
        baseline: A trial's name, a group, or hyperparameters `name=value,...`.
        maximize: Whether more of the metric is better.
        validation_images: How many images the metric was measured on.
        test_images: The same of the test part.
        independent: Trials were drawn without regard to earlier ones, as by a random search.
    """

    metric: str | None = None
    test_metric: str | None = None
    group: str | None = None
    seed: str | None = None
    baseline: str | None = None
    maximize: bool | None = None
    validation_images: int | None = None
    test_images: int | None = None
    independent: bool = False


def interpret(raw: RawStudy, said: Said) -> ForeignStudy:
    """A study whose entries are told apart.

    Raises:
        ValueError: There is no trial, a column that was named is missing, or none can be found.
    """
    columns = list(dict.fromkeys(name for trial in raw.trials for name in trial.fields))
    if not raw.trials:
        raise ValueError(f"a study must have trials, but {raw.path} has none")
    _check_named(columns, said)
    numbers = [name for name in columns if _is_numeric(raw.trials, name)]
    folds = names.is_cross_validation(columns)
    sides = {
        name: names.side(name, cross_validation=folds)
        for name in numbers
        if names.measure(name)
        and not _is_param(raw, name)
        and not names.plain(name).startswith(("std_", "rank_"))
    }
    metric = said.metric or raw.objective or _metric(sides)
    test = said.test_metric or _test_metric(sides, metric)
    if metric is None and test is None:
        raise ValueError(
            "--metric must name the column that trials were chosen by, since none of "
            f"{_listed(numbers or columns)} has a usual name"
        )
    best_test = next((n for n, part in sides.items() if part == "test" and _is_extreme(n)), None)
    group = said.group or raw.group or names.first_of(_free(columns, raw), names.GROUPS)
    seed = said.seed or names.first_of(columns, names.SEEDS)
    measures = {name for name in columns if names.measure(name) and not _is_param(raw, name)}
    roles = _Roles(
        metric=metric,
        test=test,
        group=group,
        seed=seed,
        splits=[n for n in numbers if folds and names.SPLIT.match(names.plain(n))],
        others=_others(raw, columns, {*measures, group, seed, metric, test}),
        columns=columns,
    )
    trials = tuple(_trial(trial, roles) for trial in raw.trials)
    chosen_by = metric or test or ""
    maximize = said.maximize if said.maximize is not None else raw.maximize
    return ForeignStudy(
        form=raw.form,
        path=raw.path,
        trials=_with_baseline(trials, said.baseline),
        metric=metric,
        metric_of_test=metric is not None and names.side(metric, cross_validation=folds) == "test",
        test_metric=None if test == metric else test,
        best_test_metric=best_test,
        best_tests={
            t.name: value
            for t in raw.trials
            if best_test is not None and (value := _number(t.fields.get(best_test))) is not None
        },
        sign=1 if (names.is_higher_better(chosen_by) if maximize is None else maximize) else -1,
        group_name=group,
        seed_name=seed,
        knows_params=any(trial.params for trial in trials),
        baseline_named=said.baseline,
        independent=said.independent or raw.independent,
        validation_images=said.validation_images,
        test_images=said.test_images,
    )


@dataclass(frozen=True, kw_only=True)
class _Roles:
    metric: str | None
    test: str | None
    group: str | None
    seed: str | None
    splits: Sequence[str]
    others: Sequence[str]
    columns: Sequence[str]


def _check_named(columns: Sequence[str], said: Said) -> None:
    named = {
        "--metric": said.metric,
        "--test-metric": said.test_metric,
        "--group": said.group,
        "--seed-column": said.seed,
    }
    missing = [f"{flag} {name!r}" for flag, name in named.items() if name and name not in columns]
    if missing:
        raise ValueError(
            f"{', '.join(missing)} must name columns of the trials: {_listed(columns)}"
        )


def _listed(columns: Sequence[str]) -> str:
    more = f" and {len(columns) - SHOWN} more" if len(columns) > SHOWN else ""
    return f"{', '.join(columns[:SHOWN])}{more}"


def _is_param(raw: RawStudy, name: str) -> bool:
    return names.is_param(name) or any(name in (trial.params or ()) for trial in raw.trials)


def _free(columns: Sequence[str], raw: RawStudy) -> list[str]:
    """Columns that can make groups: of text, or of few values."""
    return [
        name
        for name in columns
        if any(isinstance(trial.fields.get(name), str) for trial in raw.trials)
    ]


def _is_numeric(trials: Sequence[RawTrial], name: str) -> bool:
    values = [trial.fields.get(name) for trial in trials]
    known = [value for value in values if value is not None]
    return bool(known) and all(_number(value) is not None for value in known)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def _metric(sides: Mapping[str, names.Side]) -> str | None:
    """What trials were chosen by, by names: a measure on validation, or on a part unsaid."""
    for part in ("validation", "unsaid"):
        own = [name for name, its in sides.items() if its == part]
        own = [name for name in own if not names.SPLIT.match(names.plain(name))] or own
        if own:
            return min(own, key=lambda name: names.MEASURES.index(names.measure(name) or ""))
    return None


def _test_metric(sides: Mapping[str, names.Side], metric: str | None) -> str | None:
    """The measure on the test part that is most like the metric."""
    tests = [name for name, part in sides.items() if part == "test" and name != metric]
    tests = [name for name in tests if not _is_extreme(name)] or tests
    if metric is None or names.measure(metric) in {"value", "values", "objective"}:
        order = sorted(tests, key=lambda name: names.MEASURES.index(names.measure(name) or ""))
        return order[0] if order else None
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
    said = [name for name in columns if names.is_param(name) and name not in taken]
    if said:
        return said
    known = {
        *(names.NAMES + names.STATES + names.EPOCHS + names.SECONDS + names.SEEDS),
        *(names.ROLES + names.BASELINES + names.CHOSEN + names.GROUPS),
    }
    return [
        name
        for name in columns
        if name not in taken
        and names.plain(name) not in known
        and not {"time", "date", "datetime", "timestamp", "host", "hostname", "start", "end"}
        & set(names.tokens(name))
    ]


def _trial(trial: RawTrial, roles: _Roles) -> Trial:
    fields, find = trial.fields, names.first_of
    group = fields.get(roles.group) if roles.group else None
    source = fields if trial.params is None else trial.params
    others = {
        name: _text(source.get(name))
        for name in (roles.others if trial.params is None else trial.params)
        if name not in {roles.group, roles.seed} and names.plain(name) not in names.SEEDS
    }
    params = {
        name: text
        for name, text in others.items()
        if trial.params is not None
        or names.is_param(name)
        or names.HYPERPARAMETERS & set(names.tokens(name))
    }
    seed = fields.get(roles.seed) if roles.seed else None
    config: tuple[tuple[str, str], ...] | str = tuple(sorted(others.items()))
    if not others and seed is None:
        config = trial.name  # nothing tells whether it repeats another
    epochs = find(roles.columns, names.EPOCHS)
    seconds = find(roles.columns, names.SECONDS)
    curve = tuple(trial.curves.get(roles.metric or "", ()))
    test_curve = tuple(trial.curves.get(roles.test or "", ()))
    recorded = _number(fields.get(epochs)) if epochs else None
    splits = [_number(fields.get(name)) for name in roles.splits]
    return Trial(
        name=trial.name,
        group="" if group is None else str(group),
        state=trial.state,
        value=_number(fields.get(roles.metric)) if roles.metric else None,
        test=_number(fields.get(roles.test)) if roles.test and roles.test != roles.metric else None,
        config=config,
        params=params,
        seed=None if seed is None else _text(seed),
        epochs=max([recorded or 0, len(curve), len(test_curve)]) or None,
        seconds=_number(fields.get(seconds)) if seconds else None,
        splits=tuple(each for each in splits if each is not None),
        curve=curve,
        test_curve=test_curve,
        baseline=_is_baseline(fields, str(group or "")),
        chosen=_is_marked(fields, roles.columns, names.CHOSEN),
        given=trial.given,
    )


def _text(value: Any) -> str:
    """A value as text, the same for 32 and 32.0."""
    number = _number(value)
    return json.dumps(value, default=str) if number is None else f"{number:.12g}"


def _is_marked(fields: Fields, columns: Sequence[str], wanted: Sequence[str]) -> bool:
    name = names.first_of(columns, wanted)
    value = "" if name is None else str(fields.get(name)).strip().lower()
    return value in _TRUE


def _is_baseline(fields: Fields, group: str) -> bool:
    """Whether a trial is called a baseline, by a mark, its role, its name or its group."""
    for name, value in fields.items():
        if names.plain(name) in names.BASELINES and str(value).strip().lower() in _TRUE:
            return True
        called = names.plain(name) in (*names.ROLES, *names.NAMES)
        if called and isinstance(value, str) and _BASELINE_WORDS & set(names.tokens(value)):
            return True
    return bool(_BASELINE_WORDS & set(names.tokens(group)))


def _with_baseline(trials: tuple[Trial, ...], named: str | None) -> tuple[Trial, ...]:
    """The trials, those marked that the caller names as the baseline.

    Raises:
        ValueError: The name is of no trial and no group, or of no hyperparameter.
    """
    if named is None:
        return trials
    if "=" not in named:
        found = [t.name == named for t in trials]
        found = found if any(found) else [t.group == named for t in trials]
        if not any(found):
            raise ValueError(
                "--baseline must be a trial, a group, or name=value,... of hyperparameters, but "
                f"no trial and no group is called {named!r}"
            )
        return tuple(_marked(t, mark) for t, mark in zip(trials, found, strict=True))
    asked = {}
    for part in named.split(","):
        name, _, text = part.partition("=")
        asked[name.strip()] = _text(_parsed(text.strip()))
    known = {name for trial in trials for name in trial.params}
    unknown = sorted(asked.keys() - known)
    if unknown:
        raise ValueError(
            f"--baseline must name hyperparameters of the trials ({_listed(sorted(known))}), but "
            f"got {', '.join(unknown)}"
        )
    return tuple(
        _marked(t, all(t.params.get(name) == value for name, value in asked.items()))
        for t in trials
    )


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _marked(trial: Trial, baseline: bool) -> Trial:
    return Trial(**{**vars(trial), "baseline": baseline})
