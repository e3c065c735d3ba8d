"""Pairs of models: which is more accurate, by how much, and whether that is certain."""

from collections.abc import Iterator, Sequence
from operator import itemgetter
from statistics import fmean
from typing import Any, Final, TypeGuard, TypeVar

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import interval, p_value, share, words
from orchestrator.analysis.section import Row, Section, grouped, present
from orchestrator.results.registration import EXPLORED, REGISTERED
from orchestrator.results.rows import ComparisonRow, FinalRow, MeasuredRow, models_of
from orchestrator.results.schema import METRICS, ROLES

ENOUGH_SEEDS: Final = 3
"""For intervals that hold what they say; see docs/STATISTICS.md."""
CERTAIN: Final = 0.05
"""Corrected p-values below it are called certain."""
MOST_PAIRS: Final = 5
"""That a terminal shows."""
PAIR: Final = ("a_family", "a_role", "b_family", "b_role")
ENDS: Final = {"difference": "", "ci_low": "_low", "ci_high": "_high"}
Pair = TypeVar("Pair", ComparisonRow, MeasuredRow)


def probability_of_improvement(a: Sequence[float], b: Sequence[float]) -> float:
    """The share of pairs of trainings, one of each model, in which a is better; ties count half.

    Of the test accuracies of each one's seeds it is the Mann-Whitney U statistic over the number of
    pairs. Source: Agarwal et al. (2021), Deep Reinforcement Learning at the Edge of the Statistical
    Precipice, section 4.2.
    """
    return float(1 + np.sign(np.subtract.outer(a, b)).mean()) / 2


def difference_sections(
    pairs: Sequence[ComparisonRow], finals: Sequence[FinalRow]
) -> Iterator[Section]:
    """All pairs of different models, one table for each train fraction, in the order of the pairs.

    Tuned families stand first, then tuned against baseline, the most accurate first; a model that
    is both a family's baseline and its winner stands as tuned.
    """
    for place, ((fraction,), own) in enumerate(grouped(pairs, "train_fraction")):
        tested = [run for run in finals if run["train_fraction"] == fraction]
        of_model = {
            model: present(run["test_accuracy"] for run in runs)
            for model, runs in grouped(tested, "family", "role")
        }
        rows = sorted(_rows(own, of_model), key=itemgetter("kind", "places"))
        if not rows:
            continue
        tuned = sum(row["kind"] == 0 for row in rows)
        shown = {
            "points [95% interval]": interval("accuracy", "accuracy"),
            "corrected p": p_value("p_value_holm"),
        }
        own_role = () if tuned else ("role",)  # where a terminal has tuned models alone
        yield Section(
            key=f"differences/{fraction:g}",
            title=f"Differences in test accuracy at train fraction {fraction:g}",
            table=pd.DataFrame(rows).drop(columns=["kind", "places"]),
            formats={
                "more accurate": words("a_family", "a_role"),
                "than": words("b_family", "b_role"),
                **shown,
                "certain": words("certain"),
                **({"asked": words("asked")} if "asked" in rows[0] else {}),
                "better in": share("better_in", 0),
                **{name: interval(name, name) for name in METRICS if name != "accuracy"},
            },
            notes=tuple(_notes(rows)),
            place="document" if place else "terminal",
            narrow={
                heading: words(*(f"{side}_{name}" for name in ("family", *own_role)))
                for heading, side in (("more accurate", "a"), ("than", "b"))
            }
            | shown,
            most=min(tuned or len(rows), MOST_PAIRS),
        )


def _rows(
    pairs: Sequence[ComparisonRow], of_model: dict[Any, list[float]]
) -> Iterator[dict[str, Any]]:
    """A row for each pair of models that are not the same runs."""
    again = {
        (row["a_family"], ROLES[0])
        for row in pairs
        if (row["seed"], row["metric"], row["b_family"]) == (None, "loss", row["a_family"])
        and row["difference"] == row["ci_low"] == row["ci_high"] == 0
    }
    places = sorted(of_model, key=lambda model: -fmean(of_model[model] or [0]))
    for _, own in grouped([row for row in pairs if row["seed"] is None], *PAIR):
        means = {row["metric"]: row for row in own}
        found = means["accuracy"]
        if not is_measured(found):
            continue
        if found["difference"] < 0:
            means = {name: swapped(row) for name, row in means.items()}
        mean = leader_first(found)
        a, b = models_of(mean)
        if {a, b} & again:
            continue
        values, registered = [of_model.get(model, []) for model in (a, b)], mean.get("registered")
        yield {
            "kind": 0 if a[1] == b[1] == ROLES[1] else 1 if a[0] == b[0] else 2,
            # Models of which no run is left, as where a table was lost, come last.
            "places": sorted([*places, model].index(model) for model in (a, b)),
            **dict(zip(PAIR, (*a, *b), strict=True)),
            **named_ends(*means.values()),
            "p_value_holm": mean["p_value_holm"],
            "certain": "yes" if is_certain(mean) else "no",
            "better_in": probability_of_improvement(*values) if min(map(len, values)) > 1 else None,
            "seeds": mean["n_seeds"],
            **({} if registered is None else {"asked": REGISTERED if registered else EXPLORED}),
        }


def _notes(rows: Sequence[Row]) -> Iterator[str]:
    seeds, most = (choose(row["seeds"] for row in rows) for choose in (min, max))
    noise = f"of test images and of training ({seeds} seeds)"
    if seeds == 1:
        noise = "of test images alone (one seed)"
    if seeds == 1 < most:
        noise = "of test images, and of training where both models have two seeds or more"
    yield f"They cover the noise {noise}; p is corrected by Holm."
    if 1 < seeds < ENOUGH_SEEDS:
        yield "From two seeds the noise of training is hardly known, so intervals are very wide."
    yield (
        f"Certain is what has a corrected p below {CERTAIN:g}. Better in: the share of pairs of "
        "trainings, one of each, that the first wins. A winner that is its family's baseline "
        "stands once, as tuned."
    )


def swapped(row: Pair) -> Pair:
    """The same pair as b - a."""
    (a_family, a_role), (b_family, b_role) = models_of(row)
    return {
        **row,
        "a_family": b_family,
        "a_role": b_role,
        "b_family": a_family,
        "b_role": a_role,
        "difference": _negative(row["difference"]),
        "ci_low": _negative(row["ci_high"]),
        "ci_high": _negative(row["ci_low"]),
    }


def _negative(value: Any) -> Any:
    return value if value is None else 0 - value  # that of 0.0 would be shown with a sign


def ends(row: MeasuredRow) -> tuple[float, float, float]:
    """A difference, and the lower and the upper end of its interval."""
    return row["difference"], row["ci_low"], row["ci_high"]


def named_ends(*rows: Row) -> dict[str, float | None]:
    """The same of several metrics, under the names that tables have for them."""
    return {f"{row['metric']}{end}": row[name] for row in rows for name, end in ENDS.items()}


def leader_first(row: MeasuredRow) -> MeasuredRow:
    """A pair's row of accuracy with the more accurate model as a."""
    return swapped(row) if row["difference"] < 0 else row


def excludes_zero(row: MeasuredRow) -> bool:
    """Whether the interval of a measured difference lies on one side of 0."""
    return row["ci_low"] > 0 or row["ci_high"] < 0


def is_certain(row: MeasuredRow) -> bool:
    """Whether a measured difference of means survives the correction for all pairs.

    Studies of before that correction have the interval alone.
    """
    corrected = row.get("p_value_holm")
    return excludes_zero(row) and (corrected is None or corrected < CERTAIN)


def is_measured(row: ComparisonRow | MeasuredRow) -> TypeGuard[MeasuredRow]:
    """Whether a pair has a difference with an interval."""
    return len(present((row["difference"], row["ci_low"], row["ci_high"]))) == len(ENDS)
