"""What would settle it: the seeds or test images that tell the two best apart, and their cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.analysis.answer import mean_pairs, pair_of, rank
from orchestrator.analysis.formats import alike, number, share, words
from orchestrator.analysis.pairwise import ENOUGH_SEEDS, is_certain
from orchestrator.analysis.section import Section, count, grouped, percent
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_notes
from orchestrator.results.going_on import resume_command
from orchestrator.results.rows import ComparisonRow, MeasuredRow, Model, models_of
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats import power
from orchestrator.stats.bootstrap import CONFIDENCE
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.predictions import PredictedRun, tuned_hits

COLUMNS: Final = ("way", "now", "needed", "half_width", "chance", "device_hours")
SEEDS: Final = "more seeds"
IMAGES: Final = "more test images"
NONE_DO: Final = (np.nan,) * 4
MODEL: Final = ["family", "role", "train_fraction"]

Asked = Mapping[str, float]
Way = tuple[tuple[object, ...], list[str]]
"""Its row, and what there is to say of it."""


def settle_table(
    study: StudyRecord,
    final: pa.Table,
    runs: Sequence[PredictedRun],
    comparison: Sequence[ComparisonRow],
) -> tuple[pd.DataFrame, list[str]]:
    """What would tell the two most accurate tuned families apart; nothing where they are.

    Returns:
        A row a way: `way`, how many there are `now`, how many are `needed` for a chance of 80%
        (missing where none do), and with these `half_width` of the 95% interval (a fraction),
        `chance` that it excludes 0 (also after the correction for several pairs), and the
        `device_hours` that it takes. And what there is to say.
    """
    nothing = pd.DataFrame(columns=list(COLUMNS))
    names = [*rank(final.to_pylist())][:2]
    row = pair_of(comparison, names)
    if row is None:
        return nothing, []
    hits = tuned_hits(runs)
    models = [hits[name] for name in names]
    if min(map(len, models)) < FEWEST_SEEDS:
        return nothing, list(_first_seeds(study, final, min(map(len, models))))
    if is_certain(row):
        return nothing, []
    if all(np.array_equal(hits[0], each) for hits in models for each in (*models[0], *hits)):
        alike = "are right on the same test images in every training: no more seeds tell them apart"
        return nothing, [f"{' and '.join(names)} {alike}."]
    # In a study from before means were corrected there is no such p-value.
    pairs = 1 if row["p_value_holm"] is None else _tested_together(final, comparison, row)
    noise = power.measure(*models)
    # What is to be distinguished from none, and with what certainty: what Holm asks at most.
    asked = {"difference": abs(row["difference"]), "confidence": 1 - (1 - CONFIDENCE) / pairs}
    by_seeds, of_seeds = _more_seeds(study, final, names, noise, asked)
    by_images, of_images = _more_images(study, final, names, noise, asked)
    corrected_for = f", corrected for {pairs} pairs," if pairs > 1 else ""
    chance = (
        f"That is for a chance of {percent(power.POWER, 0)} that the 95% interval of "
        f"{' minus '.join(names)}{corrected_for} excludes 0, by the "
        f"{_points(asked['difference'])} that were found and the noise that was measured, "
        f"{_points(noise.seed_noise)} between trainings of one model."
    )
    table = pd.DataFrame([by_seeds, by_images], columns=list(COLUMNS))
    return table, [*of_seeds, chance, *of_images]


def settle_section(table: pd.DataFrame, notes: Sequence[str]) -> Section:
    """What would tell the two best apart; nothing where they are, or where there are not two."""
    return Section(
        key="differences/settle",
        title="What would settle it",
        table=table,
        formats={
            **alike(words, "way"),
            **alike(number, "now", "needed"),
            "95% interval then (points)": number("half_width", ".2f", scale=100, before="±"),
            "chance that it excludes 0": share("chance", 0),
            "device-hours": number("device_hours", ",.2g"),
        },
        notes=tuple(notes),
        place="document",
    )


def _tested_together(final: pa.Table, comparison: Sequence[ComparisonRow], row: MeasuredRow) -> int:
    """How many pairs a row's p is corrected for: a winner that is its baseline is one model."""
    trainings: dict[tuple[Model, float], frozenset[str]] = {}
    for (*model, fraction), runs in grouped(final.to_pylist(), *MODEL):
        trainings[(model[0], model[1]), fraction] = frozenset(run["trial_id"] for run in runs)
    asked = row.get("registered")
    tests = {
        frozenset(trainings.get((model, each["train_fraction"])) for model in models_of(each))
        for each in mean_pairs(comparison)
        if each.get("registered") == asked
        and (asked or each["train_fraction"] == row["train_fraction"])
    }
    return sum(len(models) > 1 for models in tests)


def _first_seeds(study: StudyRecord, final: pa.Table, now: int) -> Iterator[str]:
    """What to do where a model was trained once."""
    seeds = max(ENOUGH_SEEDS, study.settings.seeds)  # of which some may have failed
    hours = _more_seeds_hours(final, seeds)
    yield (
        f"{seeds} seeds in place of {now} would show training noise{_taking(hours)}: "
        f"{_command(study, seeds)}."
    )
    yield from _prices(study, hours)


def _more_seeds(
    study: StudyRecord, final: pa.Table, names: Sequence[str], noise: power.Noise, asked: Asked
) -> Way:
    assert noise.seeds is not None
    now, needed = min(noise.seeds), power.fewest_seeds(noise, **asked)
    # More than there are, since these have not done.
    seeds = power.MOST_SEEDS if needed is None else max(needed, now + 1)
    seen = power.extended(noise, seeds=seeds, **asked)
    if needed is None:
        sentence = (
            f"More seeds alone will hardly do: with {seeds} the interval would still be "
            f"±{_points(seen.half_width)}, and exclude 0 with a chance of {percent(seen.power, 0)}."
        )
        return (SEEDS, now, *NONE_DO), [sentence]
    hours = _more_seeds_hours(final, seeds)
    return (SEEDS, now, seeds, seen.half_width, seen.power, hours), [
        f"To tell {' and '.join(names)} apart, {seeds} seeds in place of {now} would do, if the "
        f"difference stays near what was found: ±{_points(seen.half_width)}{_taking(hours)}: "
        f"{_command(study, seeds)}.",
        *_prices(study, hours),
        "That opens the test set again, and every report will say so. It is a second look: where "
        "the two are alike, one of two looks says otherwise in up to 10% of studies, not in 5%.",
    ]


def _more_images(
    study: StudyRecord, final: pa.Table, names: Sequence[str], noise: power.Noise, asked: Asked
) -> Way:
    assert noise.seeds is not None
    seeds, tested = min(noise.seeds), noise.tested
    images = power.fewest_images(noise, seeds=seeds, **asked)
    seen = power.outlook(noise, seeds=seeds, images=images or power.MOST_IMAGES, **asked)
    if images is None:
        sentence = (
            f"No number of test images would do with {seeds} seeds: what these leave open is "
            f"±{_points(seen.half_width)}."
        )
        return (IMAGES, tested, *NONE_DO), [sentence]
    # The finals of a study of these two families alone.
    finals = final.to_pandas()
    own = finals[finals["family"].isin(names)].drop_duplicates("trial_id")
    hours = float(own["device_seconds"].sum(skipna=False)) / SECONDS_PER_HOUR
    sentence = (
        f"{count(images)} test images in place of {count(tested)} would do with {seeds} seeds "
        f"each, if the difference found is the true one: ±{_points(seen.half_width)}. But the "
        f"{count(tested)} of {study.settings.dataset} are all in use: with more it is other data, "
        f"and so a new study, whose finals alone take {_hours(hours)}."
    )
    return (IMAGES, tested, images, seen.half_width, seen.power, hours), [sentence]


def _more_seeds_hours(final: pa.Table, seeds: int) -> float:
    """Device-hours of the re-trainings that are missing; not a number where one was not measured.

    A resumed study re-trains all its models, at each of its shares.
    """
    finals = final.to_pandas().drop_duplicates("trial_id")
    models = finals.groupby(MODEL, observed=True)["device_seconds"].agg(
        lambda own: own.mean(skipna=False) * max(0, seeds - len(own))
    )
    return float(models.sum(skipna=False)) / SECONDS_PER_HOUR


def _command(study: StudyRecord, seeds: int) -> str:
    return f"`{resume_command(study.folder, '--seeds', str(seeds))}`"


def _prices(study: StudyRecord, hours: float) -> Iterator[str]:
    """What device-hours cost, where the study has prices."""
    if np.isfinite(hours):
        yield from cost_notes(study.forecast.prices, [hours, hours], study.device_types)


def _taking(hours: float) -> str:
    return f", in {_hours(hours)} for all models" if np.isfinite(hours) else ""


def _hours(hours: float) -> str:
    return f"{between([hours, hours])} device-hours" if np.isfinite(hours) else "some time"


def _points(difference: float) -> str:
    return f"{100 * difference:.2f} points"
