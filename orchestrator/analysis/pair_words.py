"""A pair of models in words: which is better, by how much, and whether that is certain."""

from collections.abc import Iterator, Mapping, Sequence

from orchestrator.analysis.section import FORMATS, MISSING, Row, model_name, present

SMALLEST_P = 0.0001
NAMES = {"precision": "macro precision", "recall": "macro recall", "loss": "loss"}
"""The metrics beside accuracy."""
BETTER, WORSE, OPEN = "the same", "the opposite", "no difference that is certain"


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
