"""Forecast and actual side by side: epochs, device-hours and money of each family."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from orchestrator.analysis.budget_use import Effort, measure_effort
from orchestrator.analysis.section import MISSING, Row, Section, count
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_sentences
from orchestrator.forecast.prices import NodePrice


def forecast_sections(study: Row, trials: pa.Table, final: pa.Table) -> tuple[Section, ...]:
    """What was forecast and what it took; nothing of a study without a forecast.

    Args:
        study: `study.json`.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    forecast = study.get("forecast")
    if not forecast:
        return ()
    efforts = measure_effort(list(forecast["families"]), trials, final)
    epochs = study["settings"]["epochs"]
    actual = [(e, e.epochs + e.final_runs * epochs, _seconds(e)) for e in efforts]
    return (
        Section(
            title="Forecast and actual",
            columns=(
                "family",
                "epochs forecast",
                "epochs",
                "device-hours forecast",
                "device-hours",
            ),
            rows=tuple(
                (
                    effort.family,
                    between(forecast["families"][effort.family]["epochs"]),
                    count(ran),
                    _hours(forecast["families"][effort.family]["device_seconds"]),
                    _hours([seconds, seconds]),
                )
                for effort, ran, seconds in actual
            ),
            sentences=tuple(_sentences(forecast, sum(seconds for *_, seconds in actual))),
        ),
    )


def _seconds(effort: Effort) -> float:
    return effort.search_seconds + effort.finals_seconds


def _sentences(forecast: Mapping[str, Any], seconds: float) -> Iterator[str]:
    pace = forecast["pace"]
    if pace is None:
        yield "Device time was not forecast: no earlier study had done such work."
    else:
        ranges = [each["device_seconds"] for each in forecast["families"].values()]
        low, high = (sum(ends) for ends in zip(*ranges, strict=True))
        where = "within" if low <= seconds <= high else "below" if seconds < low else "above"
        yield (
            f"The forecast was {_hours([low, high])} device-hours, by the epochs of "
            f"{pace['study']} on {pace['device']}; the study took {_hours([seconds, seconds])}, "
            f"{where} that range. Trials of the search that failed and epochs computed twice are "
            "in it, finals that were not tested are not."
        )
    hours = seconds / SECONDS_PER_HOUR
    prices = [NodePrice(**each) for each in forecast["prices"]]
    yield from cost_sentences(prices, [hours, hours])


def _hours(seconds: Sequence[float] | None) -> str:
    if seconds is None:
        return MISSING
    return between([end / SECONDS_PER_HOUR for end in seconds])
