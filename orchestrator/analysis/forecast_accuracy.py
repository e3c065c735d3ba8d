"""Forecast and actual side by side: epochs, device-hours and money of each family."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.analysis.budget_use import measure_effort
from orchestrator.analysis.formats import number, words
from orchestrator.analysis.frames import frame
from orchestrator.analysis.section import Format, Section
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_sentences
from orchestrator.results.study_record import StudyRecord


def forecast_sections(study: StudyRecord, trials: pa.Table, final: pa.Table) -> Iterator[Section]:
    """What was forecast and what it took; nothing of a study without a forecast.

    Args:
        study: The study.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    forecast = study.forecast
    if not forecast.families:
        return
    efforts = measure_effort(list(forecast.families), trials, final)
    finals = frame(final).drop_duplicates("trial_id").groupby("family")["last_epoch"].sum()
    of_finals = {str(family): int(epochs) for family, epochs in finals.items()}
    rows: list[dict[str, Any]] = [
        {
            "family": each.family,
            **_ends("epochs_forecast", forecast.families[each.family].epochs),
            "epochs": each.epochs + of_finals.get(each.family, 0),
            **_ends("seconds_forecast", forecast.families[each.family].device_seconds),
            "device_seconds": each.search_seconds + each.finals_seconds,
        }
        for each in efforts
    ]
    hours = sum(row["device_seconds"] for row in rows) / SECONDS_PER_HOUR
    throughput = forecast.pace
    yield Section(
        key="effort/forecast",
        title="Forecast and actual",
        table=pd.DataFrame(rows),
        formats={
            "family": words("family"),
            "epochs forecast": _range("epochs_forecast"),
            "epochs": number("epochs"),
            "device-hours forecast": _range("seconds_forecast", 1 / SECONDS_PER_HOUR),
            "device-hours": Format(
                ("device_seconds",), lambda s: between([s / SECONDS_PER_HOUR] * 2)
            ),
        },
        notes=(
            "Device time was not forecast: no earlier study had done such work."
            if throughput is None
            else f"By the epochs of {throughput['study']} on {throughput['device']}. Trials of "
            "the search that failed and epochs computed twice are in what it took, finals that "
            "were not tested are not.",
            *cost_sentences(forecast.prices, [hours, hours], study.device_types),
        ),
    )


def _ends(name: str, ends: Sequence[float] | None) -> dict[str, float]:
    low, high = (np.nan, np.nan) if ends is None else (ends[0], ends[-1])
    return {f"{name}_low": low, f"{name}_high": high}


def _range(name: str, scale: float = 1) -> Format:
    def write(*ends: float) -> str:
        return between([scale * end for end in ends])

    return Format((f"{name}_low", f"{name}_high"), write)
