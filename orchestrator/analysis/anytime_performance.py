"""The search over time: each family's best validation accuracy against device-seconds."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import rounded, share, three_digits, words
from orchestrator.analysis.section import Section
from orchestrator.results.states import MAY_WIN

QUARTERS = 4


def trace_best(trials: pd.DataFrame, epochs: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """How each family's best validation accuracy grew with the device-seconds spent on it.

    Epochs count in the order in which they were reported, each at its trial's mean device-seconds.
    Trials that can win raise the best; the others cost all the same.

    Returns:
        Family to `spent` and `best` (missing before the first epoch of a trial that can win),
        epoch by epoch; families without an epoch are not in it.
    """
    rows = epochs.sort_values("sequence")
    # Killed between the two files, a trial's row comes with the resume.
    own = trials[["trial_id", "status", "device_seconds"]]
    rows = rows.merge(own, on="trial_id", how="inner")
    cost = rows["device_seconds"].fillna(0) / rows.groupby("trial_id")["epoch"].transform("size")
    value = rows["validation_accuracy"].where(rows["status"].isin(MAY_WIN))
    rows = rows.assign(cost=cost, value=value)
    return {
        str(family): pd.DataFrame(
            {
                "spent": group["cost"].cumsum().to_numpy(),
                "best": group["value"].cummax().ffill().to_numpy(),
            }
        )
        for family in epochs["family"].unique()
        if len(group := rows[rows["family"] == family])
    }


def best_after(trace: pd.DataFrame, device_seconds: float) -> float:
    """The best validation accuracy within so many device-seconds; NaN before the first epoch."""
    # A budget computed from a trace's own end must reach that end whatever the rounding.
    within = trace.loc[trace["spent"] <= device_seconds * (1 + 1e-9), "best"]
    return float(within.iloc[-1]) if len(within) else np.nan


def best_so_far_sections(trials: pd.DataFrame, epochs: pd.DataFrame) -> Iterator[Section]:
    """The search over time; nothing before the first epoch."""
    spent = {name: own for name, own in trace_best(trials, epochs).items() if _end(own) > 0}
    if not spent:
        return
    most = max(map(_end, spent.values()))
    least = min(spent, key=lambda family: _end(spent[family]))
    quarters = (most * quarter / QUARTERS for quarter in range(1, QUARTERS + 1))
    budgets = {f"by {three_digits(end)} s": end for end in (_end(spent[least]), *quarters)}
    yield Section(
        key="effort/time",
        title="Best so far against device-seconds",
        table=pd.DataFrame(
            {"family": family, "spent": _end(own)}
            | {name: best_after(own, budget) for name, budget in budgets.items()}
            for family, own in spent.items()
        ),
        formats={
            "family": words("family"),
            "spent": rounded("spent"),
            **{name: share(name) for name in budgets},
        },
        notes=(
            "Best validation accuracy among trials that can win, baseline included, by the "
            f"device-seconds spent on the family until then; the first budget is all that {least} "
            "was given.",
        ),
    )


def _end(trace: pd.DataFrame) -> float:
    return float(trace["spent"].iloc[-1])
