"""The search shown over time: each family's best validation accuracy against device-seconds."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from orchestrator.analysis.section import MISSING, Row, Section, grouped, percent, present
from orchestrator.analysis.selection import ELIGIBLE

QUARTERS = 4

Trace = Sequence[tuple[float, float | None]]
"""Device-seconds spent and the best validation accuracy by then, epoch by epoch."""


def trace_best(trials: pa.Table, epochs: pa.Table) -> dict[str, list[tuple[float, float | None]]]:
    """How each family's best validation accuracy grew with the device-seconds spent on it.

    Epochs count in the order in which they were reported, each at its trial's mean device-seconds.
    Trials that can win raise the best; the others cost all the same.

    Args:
        trials: `trials.parquet`.
        epochs: `epochs.parquet`.

    Returns:
        Family to its trace; families without an epoch are not in it.
    """
    own = {row["trial_id"]: row for row in trials.to_pylist()}
    rows = sorted(epochs.to_pylist(), key=lambda row: row["sequence"])
    counts = {trial: len(group) for (trial,), group in grouped(rows, "trial_id")}
    traces: dict[str, list[tuple[float, float | None]]] = {}
    for row in rows:
        trial = own.get(row["trial_id"])
        if trial is None:  # killed between the two files: its row comes with the resume
            continue
        trace = traces.setdefault(row["family"], [])
        spent, best = trace[-1] if trace else (0.0, None)
        seconds = sum(present([trial["device_seconds"]])) / counts[row["trial_id"]]
        values = present([best, row["validation_accuracy"] if _can_win(trial) else None])
        trace.append((spent + seconds, max(values, default=None)))
    return traces


def best_after(trace: Trace, device_seconds: float) -> float | None:
    """The best validation accuracy within so many device-seconds; None before the first epoch."""
    # A budget computed from a trace's own end must reach that end whatever the rounding.
    within = [best for spent, best in trace if spent <= device_seconds * (1 + 1e-9)]
    return within[-1] if within else None


def best_so_far_sections(study: Row, trials: pa.Table, epochs: pa.Table) -> tuple[Section, ...]:
    """The section on the search over time, for `comparison.md` and the terminal.

    Args:
        study: `study.json`, with `families` in its `settings`.
        trials: `trials.parquet`.
        epochs: `epochs.parquet`.
    """
    traces = {name: trace for name, trace in trace_best(trials, epochs).items() if trace[-1][0] > 0}
    title = "Fairness: best so far against device-seconds"
    if not traces:
        return (Section(title=title),)
    most = max(trace[-1][0] for trace in traces.values())
    budgets = [most * quarter / QUARTERS for quarter in range(1, QUARTERS + 1)]
    return (
        Section(
            title=title,
            columns=("family", "spent", *(f"by {_seconds(budget)}" for budget in budgets)),
            rows=tuple(
                (
                    family,
                    _seconds(traces[family][-1][0]) if family in traces else MISSING,
                    *(percent(best_after(traces.get(family, ()), each)) for each in budgets),
                )
                for family in study["settings"]["families"]
            ),
            sentences=tuple(_sentences(traces)),
        ),
    )


def _sentences(traces: Mapping[str, Trace]) -> Iterator[str]:
    yield (
        "Best validation accuracy among trials that can win, baseline included, by the "
        "device-seconds spent on the family until then, trials without an epoch left out."
    )
    if len(traces) > 1:
        least = min(traces, key=lambda family: traces[family][-1][0])
        budget = traces[least][-1][0]
        bests = [(family, best_after(trace, budget)) for family, trace in traces.items()]
        known = sorted(
            ((family, best) for family, best in bests if best is not None),
            key=lambda each: -each[1],
        )
        listed = ", ".join(f"{family} {percent(best)}" for family, best in known)
        if known:
            yield (
                f"After {_seconds(budget)} device-seconds each, all that {least} was given: "
                f"{listed}."
            )


def _can_win(trial: Row) -> bool:
    return trial["status"] in ELIGIBLE


def _seconds(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 * QUARTERS else f"{value:.2g}"
