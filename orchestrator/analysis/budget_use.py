"""What each family was given, by which rule, and whether it kept to its budget."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import alike, number, words
from orchestrator.analysis.frames import records
from orchestrator.analysis.section import Format, Section
from orchestrator.cli import counted
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_notes
from orchestrator.results.study_record import StudyRecord

SPENT_EXACTLY = 1.005
"""A share is kept if no more than half a percent above it was spent."""

BUDGET_USE: Final = {
    **alike(words, "family"),
    **alike(number, "trials", "epochs"),
    "search device s": number("search_seconds"),
    "final runs": number("final_runs"),
    "finals device s": number("finals_seconds"),
}
"""How what `measure_budget_use` gives is shown."""


def budget_use_section(study: StudyRecord, used: pd.DataFrame) -> Section:
    """What each family was given, beside the rule that balanced it."""
    return Section(
        key="effort/given",
        title="What each family was given",
        table=used,
        formats=BUDGET_USE,
        place="document",
        notes=(_budget_rule(study), *_budget_use_notes(list(used.itertuples()))),
    )


def _budget_rule(study: StudyRecord) -> str:
    """What was made equal between the families, in a sentence."""
    settings = study.settings
    hours, trials = settings.budget_gpu_hours, settings.trials
    cap = f"at most {counted(trials, 'trial')}"
    whom = "each family and training share" if settings.tune_per_fraction else "each family"
    # `family_searcher.FamilySearch`: with one trial at a time nothing depends on clocks.
    alone = study.cluster.max_concurrent == 1
    order = "started the fewest trials" if alone else "used the least device time so far"
    budgets = {
        ("device-hour", ", an equal share for each family"): hours,
        ("hour", " of wall time"): settings.time_budget,
    }
    parts = [
        f"{limit:g} {unit}{'' if limit == 1 else 's'}{more}"
        for (unit, more), limit in budgets.items()
        if limit is not None
    ]
    if parts:
        rule = f"{' and '.join(parts)}, finals included{_ended(study)}"
        return f"Budget rule: {rule}; {cap} for {whom}, its baseline included."
    return (
        f"Budget rule: {cap} for {whom}, its baseline included; device time was not made "
        f"equal. Only the order was balanced: the family that had {order} was always next."
    )


def _ended(study: StudyRecord) -> str:
    """Which searches a budget ended, and after how many trials."""
    if not study.closed:
        return ", which no search came to the end of"
    listed = ", ".join(
        f"{name} after {counted(why.trials, 'trial')}" for name, why in study.closed.items()
    )
    return f", which ended the search of {listed}"


def overspent(study: StudyRecord, trials: pd.DataFrame, final: pd.DataFrame) -> Iterator[str]:
    """Budgets that were not kept: a baseline, the finals and what runs go on all the same."""
    settings, limits = study.settings, []
    # Where each fraction has a search of its own, no search has a share.
    if settings.budget_gpu_hours is not None and not settings.tune_per_fraction:
        share = settings.budget_gpu_hours / len(settings.families)
        used = measure_budget_use(settings.families, trials, final)
        spent = used["search_seconds"] + used["finals_seconds"]
        given = ("device-hours", "its share", share)
        limits += [(*each, *given) for each in zip(used["family"], spent, strict=True)]
    if settings.time_budget is not None and study.wall_seconds is not None:
        given = ("hours of wall time", "its budget", settings.time_budget)
        limits.append(("The study", study.wall_seconds, *given))
    for who, seconds, unit, what, limit in limits:
        if (took := seconds / SECONDS_PER_HOUR) > limit * SPENT_EXACTLY:
            yield (
                f"{who} took {took:.3g} {unit}, more than {what} of {limit:.3g}: baselines and "
                "finals run whatever they cost, and what runs is not ended."
            )


def _budget_use_notes(uses: Sequence[Any]) -> Iterator[str]:
    spent = [each for each in uses if each.search_seconds > 0]
    if len(spent) > 1:
        least, most = (choose(spent, key=lambda each: each.search_seconds) for choose in (min, max))
        ratio = f"{most.search_seconds / least.search_seconds:.2f}"
        if float(ratio) == 1:
            names = ", ".join(each.family for each in spent)
            yield f"The searches of {names} took about the same device-seconds."
        else:
            yield (
                f"The search of {most.family} took {ratio} times the device-seconds of that of "
                f"{least.family}; they had {most.trials:,} and {least.trials:,} trials."
            )
    for each in uses:
        if not each.search_seconds:
            yield f"{each.family}: no device time was spent on its search."


def measure_budget_use(
    families: Sequence[str], trials: pd.DataFrame, final: pd.DataFrame
) -> pd.DataFrame:
    """What each family was given, in their order.

    Returns:
        `family`, `trials` with the baseline and whatever became of them, their `epochs` and
        `search_seconds`; of the re-trainings, where a winner that is its baseline counts once,
        `final_runs` and `finals_seconds`; seconds are device-seconds.
    """
    searches, finals = trials.groupby("family"), final.drop_duplicates("trial_id").groupby("family")
    used = {
        "trials": searches.size(),
        "epochs": searches["epochs_run"].sum(),
        "search_seconds": searches["device_seconds"].sum(),
        "final_runs": finals.size(),
        "finals_seconds": finals["device_seconds"].sum(),
    }
    table = pd.DataFrame(used, index=pd.Index(families, name="family")).fillna(0).reset_index()
    return table.astype(dict.fromkeys(("trials", "epochs", "final_runs"), int))


def forecast_sections(
    study: StudyRecord, trials: pd.DataFrame, final: pd.DataFrame
) -> Iterator[Section]:
    """What was forecast and what it took; nothing of a study without a forecast."""
    forecast = study.forecast
    if not forecast.families:
        return
    finals = final.drop_duplicates("trial_id").groupby("family")["last_epoch"].sum()
    rows: list[dict[str, Any]] = [
        {
            "family": (family := each["family"]),
            **_ends("epochs_forecast", forecast.families[family].epochs),
            "epochs": each["epochs"] + int(finals.get(family, 0)),
            **_ends("seconds_forecast", forecast.families[family].device_seconds),
            "device_seconds": each["search_seconds"] + each["finals_seconds"],
        }
        for each in records(measure_budget_use(list(forecast.families), trials, final))
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
            *cost_notes(forecast.prices, [hours, hours], study.device_types),
        ),
    )


def _ends(name: str, ends: Sequence[float] | None) -> dict[str, float]:
    low, high = ends or (np.nan, np.nan)
    return {f"{name}_low": low, f"{name}_high": high}


def _range(name: str, scale: float = 1) -> Format:
    columns = (f"{name}_low", f"{name}_high")
    return Format(columns, lambda *ends: between([scale * end for end in ends]))
