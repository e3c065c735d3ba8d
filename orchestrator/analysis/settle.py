"""What would settle it: the seeds or test images that tell the two best apart, and their cost."""

import math
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.analysis.answer import pair_of, rank
from orchestrator.analysis.formats import number, share, words
from orchestrator.analysis.pairwise import ENOUGH_SEEDS, excludes_zero
from orchestrator.analysis.section import Section, count, percent
from orchestrator.called import words_of
from orchestrator.config.settings import Settings
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_sentences
from orchestrator.results.rows import ComparisonRow
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats import power
from orchestrator.stats.bootstrap import CONFIDENCE
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.predictions import PredictedRun, tuned_hits

COLUMNS: Final = ("way", "now", "needed", "half_width", "chance", "device_hours")
KEY: Final = "differences/settle"
SEEDS: Final = "more seeds"
IMAGES: Final = "more test images"
MODEL: Final = ["family", "role", "train_fraction"]


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
    ranked = rank(final.to_pylist())[:2]
    row = pair_of(comparison, ranked)
    if row is None:
        return nothing, []
    hits = tuned_hits(runs)
    models = [hits[each.family] for each in ranked]
    if min(map(len, models)) < FEWEST_SEEDS:
        return nothing, list(_first_seeds(study, final, min(map(len, models))))
    corrected = row["p_value_holm"]  # none in a study from before means were corrected
    if excludes_zero(row) and (corrected is None or corrected < 1 - CONFIDENCE):
        return nothing, []
    names = [each.family for each in ranked]
    if all(np.array_equal(hits[0], each) for hits in models for each in (*models[0], *hits)):
        alike = "are right on the same test images in every training: no more seeds tell them apart"
        return nothing, [f"{' and '.join(names)} {alike}."]
    ways = _Ways(
        study,
        final=final,
        families=names,
        noise=power.measure(*models),
        difference=abs(row["difference"]),
        pairs=1 if corrected is None else _pairs_of_models(final),
    )
    return pd.DataFrame(ways.rows(), columns=list(COLUMNS)), list(ways.sentences())


def settle_sections(
    study: StudyRecord,
    final: pa.Table,
    runs: Sequence[PredictedRun],
    comparison: Sequence[ComparisonRow],
) -> Iterator[Section]:
    """What would tell the two best apart; nothing where they are, or where there are not two."""
    table, sentences = settle_table(study, final, runs, comparison)
    yield Section(
        key=KEY,
        title="What would settle it",
        table=table,
        formats={
            "way": words("way"),
            "now": number("now"),
            "needed": number("needed"),
            "95% interval then (points)": number("half_width", ".2f", scale=100, before="±"),
            "chance that it excludes 0": share("chance", 0),
            "device-hours": number("device_hours", ",.2g"),
        },
        notes=tuple(sentences),
        place="document",
    )


def _pairs_of_models(final: pa.Table) -> int:
    """How many pairs a p-value is corrected for: a winner that is its baseline is one model."""
    finals = final.to_pandas()
    largest = finals[finals["train_fraction"] == finals["train_fraction"].max()]
    trainings = largest.groupby(["family", "role"], observed=True)["trial_id"].agg(frozenset)
    return math.comb(trainings.nunique(), 2)


def _first_seeds(study: StudyRecord, final: pa.Table, now: int) -> Iterator[str]:
    """What to do where a model was trained once."""
    hours = _more_seeds_hours(final, ENOUGH_SEEDS)
    yield (
        f"{ENOUGH_SEEDS} seeds in place of {now} would show training noise{_taking(hours)}: "
        f"{_command(study, ENOUGH_SEEDS)}."
    )
    yield from _prices(study, hours)


class _Ways:
    """The two ways, each with what it needs, what it would show, and its device-hours."""

    def __init__(
        self,
        study: StudyRecord,
        *,
        final: pa.Table,
        families: Sequence[str],
        noise: power.Noise,
        difference: float,
        pairs: int,
    ) -> None:
        """Looks for both: the two best differ by a fraction, corrected for so many pairs."""
        assert noise.seeds is not None
        self.study, self.families, self.noise, self.pairs = study, families, noise, pairs
        self.difference, now = difference, min(noise.seeds)
        # What is to be told from none, and with what certainty: what Holm asks at most.
        asked = {"difference": difference, "confidence": 1 - (1 - CONFIDENCE) / pairs}
        seeds = power.fewest_seeds(noise, **asked)
        # More than there are, since these have not done.
        self.now, self.seeds = now, None if seeds is None else max(seeds, now + 1)
        most = self.seeds or power.MOST_SEEDS
        self.with_seeds = power.extended(noise, seeds=most, **asked)
        self.seeds_hours = _more_seeds_hours(final, most)
        self.images = power.fewest_images(noise, seeds=now, **asked)
        images = self.images or power.MOST_IMAGES
        self.with_images = power.outlook(noise, seeds=now, images=images, **asked)
        # The finals of a study of these two families alone.
        finals = final.to_pandas()
        own = finals[finals["family"].isin(families)].drop_duplicates("trial_id")
        self.images_hours = float(own["device_seconds"].sum(skipna=False)) / SECONDS_PER_HOUR

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Of the table."""
        for way, now, needed, seen, hours in (
            (SEEDS, self.now, self.seeds, self.with_seeds, self.seeds_hours),
            (IMAGES, self.noise.tested, self.images, self.with_images, self.images_hours),
        ):
            shown = (needed, seen.half_width, seen.power, hours)
            yield way, now, *((np.nan,) * len(shown) if needed is None else shown)

    def sentences(self) -> Iterator[str]:
        """What there is to say of either way."""
        yield from self._of_seeds()
        first, second = self.families
        corrected = f", corrected for {self.pairs} pairs," if self.pairs > 1 else ""
        yield (
            f"That is for a chance of {percent(power.POWER, 0)} that the 95% interval of {first} "
            f"minus {second}{corrected} excludes 0, by the {_points(self.difference)} that were "
            "found and the noise that was measured, "
            f"{_points(self.noise.seed_noise)} between trainings of one model."
        )
        yield from self._of_images()

    def _of_seeds(self) -> Iterator[str]:
        seen, hours = self.with_seeds, self.seeds_hours
        if self.seeds is None:
            yield (
                f"More seeds alone will hardly do: with {power.MOST_SEEDS} the interval would "
                f"still be ±{_points(seen.half_width)}, and exclude 0 with a chance of "
                f"{percent(seen.power, 0)}."
            )
            return
        yield (
            f"To tell {' and '.join(self.families)} apart, {self.seeds} seeds in place of "
            f"{self.now} would do, if the difference stays near what was found: "
            f"±{_points(seen.half_width)}{_taking(hours)}: {_command(self.study, self.seeds)}."
        )
        yield from _prices(self.study, hours)
        yield (
            "That opens the test set again, and every report will say so. It is a second look: "
            "where the two are alike, one of two looks says otherwise in up to 10% of studies, not "
            "in 5%."
        )

    def _of_images(self) -> Iterator[str]:
        seen, data = self.with_images, self.study.settings.dataset
        there = f"the {count(self.noise.tested)} of {data} are all in use"
        if self.images is None:
            yield (
                f"No number of test images would do with {self.now} seeds: what these leave open "
                f"is ±{_points(seen.half_width)}."
            )
            return
        yield (
            f"{count(self.images)} test images in place of {count(self.noise.tested)} would do "
            f"with {self.now} seeds each, if the difference found is the true one: "
            f"±{_points(seen.half_width)}. But {there}: with more it is other data, and so a new "
            f"study, whose finals alone take {_hours(self.images_hours)}."
        )


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
    """What gives a study more seeds."""
    command = [*words_of("study"), "--resume", study.name]
    folder = study.settings.results_dir
    if Path(folder).resolve() != Path(Settings.results_dir).resolve():
        command += ["--results-dir", folder]
    return f"`{shlex.join([*command, '--seeds', str(seeds)])}`"


def _prices(study: StudyRecord, hours: float) -> Iterator[str]:
    """What device-hours cost, where the study has prices."""
    if np.isfinite(hours):
        yield from cost_sentences(study.forecast.prices, [hours, hours], study.device_types)


def _taking(hours: float) -> str:
    return f", in {_hours(hours)} for all models" if np.isfinite(hours) else ""


def _hours(hours: float) -> str:
    return f"{between([hours, hours])} device-hours" if np.isfinite(hours) else "some time"


def _points(difference: float) -> str:
    return f"{100 * difference:.2f} points"
