"""Pairs of models shown: tuned against baseline, families against each other, and every pair."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.analysis.section import (
    FORMATS,
    MISSING,
    Row,
    Section,
    grouped,
    model_name,
    present,
)
from orchestrator.results.schema import METRICS, ROLES

ENOUGH_SEEDS = 3
"""For intervals that hold what they say; see docs/STATISTICS.md."""
PAIR = ("train_fraction", "a_family", "a_role", "b_family", "b_role")
SMALLEST_P = 0.0001


NAMES = {"precision": "macro precision", "recall": "macro recall", "loss": "loss"}
"""The metrics beside accuracy."""
BETTER, WORSE, OPEN = "the same", "the opposite", "no difference that is certain"


def pair_sections(pairs: Sequence[Row]) -> tuple[Section, ...]:
    """The sections on pairs, from the rows of `comparison.parquet`."""
    return (_tuning_section(pairs), _families_section(pairs), *_all_sections(pairs))


def _tuning_section(pairs: Sequence[Row]) -> Section:
    """Tuned minus baseline of each family that has another winner."""
    means = [row for row in pairs if row["seed"] is None and row["a_family"] == row["b_family"]]
    same = _unchanged(pairs)
    shown = [row for row in means if (row["train_fraction"], row["a_family"]) not in same]
    rows, sentences = [], [*_interval_notes(shown), *_unchanged_notes(same)]
    for (fraction, family), metrics in grouped(shown, "train_fraction", "a_family"):
        of_metric = {row["metric"]: swapped(row) for row in metrics}
        cells = [interval_cell(of_metric[metric], metric) for metric in METRICS]
        rows.append((f"{fraction:g}", family, *cells))
        sentences.append(f"{difference(of_metric['accuracy'])}{_also(metrics)}.")
    return Section(
        title="Tuned minus baseline",
        columns=("train fraction", "family", "loss", "accuracy (points)", "precision", "recall"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _unchanged(pairs: Sequence[Row]) -> list[tuple[float, str]]:
    """Fraction and family where tuned and baseline are one model: no loss differs on any image."""
    return [
        (row["train_fraction"], row["a_family"])
        for row in pairs
        if row["seed"] is None
        and row["a_family"] == row["b_family"]
        and row["metric"] == "loss"
        and row["difference"] == row["ci_low"] == row["ci_high"] == 0
    ]


def _unchanged_notes(same: Sequence[tuple[float, str]]) -> Iterator[str]:
    for fraction in dict.fromkeys(each for each, _ in same):
        families = ", ".join(family for each, family in same if each == fraction)
        yield (
            f"At train fraction {fraction:g} the search found nothing better than the baseline of "
            f"{families}: tuned and baseline are the same model there."
        )


def _interval_notes(means: Sequence[Row]) -> Iterator[str]:
    """Sentences on what the intervals of differences of seed means cover."""
    if not means:
        return
    yield "Differences of the means over seeds, in brackets their 95% intervals."
    seeds = min(row["n_seeds"] for row in means)
    if seeds == 1:
        yield "With one seed an interval covers test-sampling noise only, not training noise."
        return
    yield (
        "The intervals cover test-sampling noise (bootstrap over images) and training noise "
        f"(Student's t over {seeds} seeds); fewer seeds make them wider."
    )
    if seeds < ENOUGH_SEEDS:
        yield (
            "From two seeds training noise is hardly known: in simulated studies such intervals "
            "are very wide and hold the truth in 93% to 98% of cases."
        )


def _families_section(pairs: Sequence[Row]) -> Section:
    """A sentence for every pair of tuned families."""
    tuned = [row for row in pairs if row["a_role"] == row["b_role"] == ROLES[1]]
    sentences = []
    for _, rows in grouped(tuned, *PAIR):
        accuracies = [row for row in rows if row["metric"] == "accuracy"]
        listed = ", ".join(holm_of_seeds(accuracies)) or MISSING
        means = [row for row in rows if row["seed"] is None]
        sentences += [
            f"{difference(row)}{_also(means)}; Holm-adjusted p: {listed}."
            for row in means
            if row["metric"] == "accuracy"
        ]
    if sentences:
        sentences.append(
            "p is McNemar's exact test on the same test images, adjusted by Holm over all pairs of "
            "families and roles of that train fraction and seed."
        )
    return Section(title="Tuned families against each other", sentences=tuple(sentences))


def _also(means: Sequence[Row]) -> str:
    """What the other metrics say of a pair, as the end of a sentence."""
    said = other_metrics({row["metric"]: row for row in means})
    return f"; {said}" if said else ""


def _all_sections(pairs: Sequence[Row]) -> Iterator[Section]:
    """Every pair, a row each that reads as a sentence, one table for each train fraction."""
    same = _unchanged(pairs)
    again = {(fraction, family, ROLES[1]) for fraction, family in same}
    means = [
        row
        for row in pairs
        if row["seed"] is None
        and row["metric"] == "accuracy"
        and not any((row["train_fraction"], *_model(row, side)) in again for side in ("a_", "b_"))
    ]
    for (fraction,), of_fraction in grouped(means, "train_fraction"):
        if len(of_fraction) > 1:
            yield Section(
                title=f"Every pair at train fraction {fraction:g}",
                columns=("model", "is more accurate than", "by points [95% interval]", "certain"),
                rows=tuple(_pair_row(leader_first(row)) for row in of_fraction),
                sentences=(
                    "Certain is what has an interval without 0. These intervals are not adjusted "
                    f"for there being {len(of_fraction)} of them; McNemar's p-values of each seed, "
                    "which are, stand in comparison.parquet with the other metrics.",
                    *_unchanged_notes([each for each in same if each[0] == fraction]),
                ),
            )


def _model(row: Row, side: str) -> tuple[str, str]:
    return row[f"{side}family"], row[f"{side}role"]


def _pair_row(row: Row) -> tuple[str, ...]:
    names = model_name(row, "a_"), model_name(row, "b_")
    if not is_measured(row):
        return *names, MISSING, MISSING
    return *names, interval_cell(row, "accuracy"), "yes" if excludes_zero(row) else "no"


def swapped(row: Row) -> Row:
    """The same pair as b - a."""
    names = [("a_family", "b_family"), ("a_role", "b_role")]
    sides = {**{a: row[b] for a, b in names}, **{b: row[a] for a, b in names}}
    ends = {"difference": "difference", "ci_low": "ci_high", "ci_high": "ci_low"}
    # 0 - x, since the negative of 0.0 is shown with a sign.
    values = {new: None if row[old] is None else 0 - row[old] for new, old in ends.items()}
    return {**row, **sides, **values}


def leader_first(row: Row) -> Row:
    """A pair's row of accuracy with the more accurate model as a."""
    return swapped(row) if is_measured(row) and row["difference"] < 0 else row


def difference(row: Row) -> str:
    """A pair's difference in accuracy in plain words, the more accurate one first."""
    where = f"At train fraction {row['train_fraction']:g}"
    if not is_measured(row):
        return f"{where}, {model_name(row, 'a_')} against {model_name(row, 'b_')}: {MISSING}"
    row = leader_first(row)
    points, low, high = (100 * row[name] for name in ("difference", "ci_low", "ci_high"))
    found = "excludes 0" if excludes_zero(row) else "includes 0"
    than = (
        f"is {points:.2f} percentage points more accurate than" if points else "is as accurate as"
    )
    return (
        f"{where}, {model_name(row, 'a_')} {than} {model_name(row, 'b_')} "
        f"(95% interval {low:z.2f} to {high:z.2f}, which {found})"
    )


def other_metrics(of_metric: Mapping[str, Row]) -> str:
    """Whether precision, recall and loss say of a pair what accuracy says; with what if not.

    Args:
        of_metric: Metric to the row of the same pair of means.
    """
    if not all(is_measured(row) for row in of_metric.values()):
        return ""
    accuracy = of_metric["accuracy"]
    turned = accuracy["difference"] < 0
    said = {name: _verdict(of_metric[name], name, turned) for name in NAMES if name in of_metric}
    expected = BETTER if excludes_zero(accuracy) else OPEN
    differing = [name for name, verdict in said.items() if verdict != expected]
    if not differing:
        return f"{_listed([NAMES[name] for name in said])} say the same" if said else ""
    cells = (
        f"{NAMES[name]} says {said[name] if said[name] != BETTER else 'that this is certain'}: "
        f"{interval_cell(swapped(of_metric[name]) if turned else of_metric[name], name)}"
        for name in differing
    )
    return "; ".join(cells)


def excludes_zero(row: Row) -> bool:
    """Whether the interval of a measured difference lies on one side of 0."""
    return bool(row["ci_low"] > 0 or row["ci_high"] < 0)


def is_measured(row: Row) -> bool:
    """Whether a pair has a difference with an interval."""
    values = [row["difference"], row["ci_low"], row["ci_high"]]
    return present(values) == values


def interval_cell(row: Row, metric: str) -> str:
    """A difference with its interval, accuracy in percentage points."""
    if not is_measured(row):
        return MISSING
    scale, digits, _ = FORMATS[metric]
    found, low, high = (
        f"{scale * row[name]:+z.{digits}f}" for name in ("difference", "ci_low", "ci_high")
    )
    return f"{found} [{low}, {high}]"


def p_value(value: float | None) -> str:
    """A p-value with four decimals."""
    if value is None:
        return MISSING
    return f"{value:.4f}" if value >= SMALLEST_P else f"below {SMALLEST_P}"


def holm_of_seeds(rows: Sequence[Row]) -> Iterator[str]:
    """The Holm-adjusted p-value of each seed of a pair, from its rows of accuracy."""
    for row in rows:
        if row["seed"] is not None:
            yield f"{p_value(row['p_value_holm'])} (seed {row['seed']})"


def _verdict(row: Row, metric: str, turned: bool) -> str:
    """What another metric says of the model that is ahead in accuracy."""
    if not excludes_zero(row):
        return OPEN
    lower_is_better = metric == "loss"
    return BETTER if (row["difference"] > 0) ^ turned ^ lower_is_better else WORSE


def _listed(names: Sequence[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last
