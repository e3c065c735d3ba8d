"""What would settle it: the seeds or test images that tell the two best apart, and their cost."""

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
from orchestrator.analysis.section import Row, Section, count, percent
from orchestrator.config.settings import Settings
from orchestrator.forecast.estimate import SECONDS_PER_HOUR, between, cost_sentences
from orchestrator.forecast.prices import NodePrice
from orchestrator.stats import power
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.predictions import PredictedRun, tuned_hits

COLUMNS: Final = ("way", "now", "needed", "half_width", "chance", "device_hours")
KEY: Final = "differences/settle"
SEEDS: Final = "more seeds"
IMAGES: Final = "more test images"
MODEL: Final = ["family", "role", "train_fraction"]


def settle_table(
    study: Row, final: pa.Table, runs: Sequence[PredictedRun], comparison: Sequence[Row]
) -> tuple[pd.DataFrame, list[str]]:
    """What would tell the two most accurate tuned families apart; nothing where they are.

    Args:
        study: `study.json`.
        final: `final.parquet`.
        runs: From `predictions.split_runs`.
        comparison: The rows of `comparison.parquet`.

    Returns:
        A row a way: `way`, how many there are `now`, how many are `needed` for a chance of 80%
        (missing where none do), and with these `half_width` of the 95% interval (a fraction),
        `chance` that it excludes 0, and `device_hours` that it takes. And what there is to say.
    """
    nothing = pd.DataFrame(columns=list(COLUMNS))
    ranked = rank(final.to_pylist())[:2]
    row = pair_of(comparison, *(each.family for each in ranked)) if len(ranked) > 1 else None
    if row is None:
        return nothing, []
    hits = tuned_hits(runs)
    models = [hits[each.family] for each in ranked]
    if min(map(len, models)) < FEWEST_SEEDS:
        return nothing, list(_first_seeds(study, final, min(map(len, models))))
    if excludes_zero(row):
        return nothing, []
    names = [each.family for each in ranked]
    ways = _Ways(study, final, names, power.measure(*models), abs(row["difference"]))
    return pd.DataFrame(ways.rows(), columns=list(COLUMNS)), list(ways.sentences())


def settle_sections(
    study: Row, final: pa.Table, runs: Sequence[PredictedRun], comparison: Sequence[Row]
) -> Iterator[Section]:
    """What would tell the two best apart; nothing where they are, or where there are not two.

    Args:
        study: `study.json`.
        final: `final.parquet`.
        runs: From `predictions.split_runs`.
        comparison: The rows of `comparison.parquet`.
    """
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


def _first_seeds(study: Row, final: pa.Table, now: int) -> Iterator[str]:
    """What to do where a model was trained once."""
    hours = _more_seeds_hours(final, ENOUGH_SEEDS)
    yield (
        f"{ENOUGH_SEEDS} seeds in place of {now} would show training noise{_taking(hours)}: "
        f"{_command(study, ENOUGH_SEEDS)}."
    )
    yield from _prices(study, hours)


class _Ways:
    """The two ways, each with what it needs."""

    def __init__(
        self,
        study: Row,
        final: pa.Table,
        families: Sequence[str],
        noise: power.Noise,
        difference: float,
    ) -> None:
        """Finds how much either way needs."""
        assert noise.seeds is not None
        self._study, self._final, self._families = study, final, families
        self._noise, self._difference = noise, difference
        self._now = min(noise.seeds)
        self._seeds = power.fewest_seeds(noise, power.separates, difference=difference)
        self._images = power.fewest_images(
            noise, power.separates, seeds=self._now, difference=difference
        )

    def rows(self) -> Iterator[tuple[object, ...]]:
        """Of the table."""
        for way, now, needed, seen, hours in (
            (SEEDS, self._now, self._seeds, self._with_seeds(), self._seeds_hours()),
            (IMAGES, self._noise.tested, self._images, self._with_images(), self._images_hours()),
        ):
            if needed is None:
                yield way, now, np.nan, np.nan, np.nan, np.nan
            else:
                yield way, now, needed, seen.half_width, seen.power, hours

    def _with_seeds(self) -> power.Outlook:
        seeds = self._seeds or power.MOST_SEEDS
        return power.extended(self._noise, seeds=seeds, difference=self._difference)

    def _with_images(self) -> power.Outlook:
        images = self._images or power.MOST_IMAGES
        return power.outlook(
            self._noise, seeds=self._now, images=images, difference=self._difference
        )

    def _seeds_hours(self) -> float:
        return _more_seeds_hours(self._final, self._seeds or power.MOST_SEEDS)

    def _images_hours(self) -> float:
        """The finals of a study of these two families alone."""
        finals = self._final.to_pandas()
        own = finals[finals["family"].isin(self._families)].drop_duplicates("trial_id")
        return float(own["device_seconds"].sum(skipna=False)) / SECONDS_PER_HOUR

    def sentences(self) -> Iterator[str]:
        """What there is to say of either way."""
        yield from self._of_seeds()
        first, second = self._families
        yield (
            f"That is for a chance of {percent(power.POWER, 0)} that the 95% interval of {first} "
            f"minus {second} excludes 0, if the difference in truth is the "
            f"{_points(self._difference)} that were found, and the noise what was measured: "
            f"{_points(self._noise.seed_noise)} between trainings of one model."
        )
        yield from self._of_images()

    def _of_seeds(self) -> Iterator[str]:
        seen = self._with_seeds()
        if self._seeds is None:
            yield (
                f"More seeds alone will hardly do: with {power.MOST_SEEDS} the interval would "
                f"still be ±{_points(seen.half_width)}, and exclude 0 with a chance of "
                f"{percent(seen.power, 0)}."
            )
            return
        hours = self._seeds_hours()
        yield (
            f"To tell {' and '.join(self._families)} apart, {self._seeds} seeds in place of "
            f"{self._now} would do: ±{_points(seen.half_width)}"
            f"{_taking(hours)}: {_command(self._study, self._seeds)}."
        )
        yield from _prices(self._study, hours)
        yield (
            "That opens the test set again, and every report will say so: who looks a second time "
            "because the first did not settle it has two chances to be wrong, not one."
        )

    def _of_images(self) -> Iterator[str]:
        seen, data = self._with_images(), self._study["settings"]["dataset"]
        there = f"the {count(self._noise.tested)} of {data} are all in use"
        if self._images is None:
            yield (
                f"No number of test images would do with {self._now} seeds: what these leave open "
                f"is ±{_points(seen.half_width)}."
            )
            return
        yield (
            f"{count(self._images)} test images in place of {count(self._noise.tested)} would do "
            f"with {self._now} seeds each: ±{_points(seen.half_width)}. But {there}: with more it "
            "is other data, and so a new study, whose finals alone take "
            f"{_hours(self._images_hours())}."
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


def _command(study: Row, seeds: int) -> str:
    """What gives a study more seeds."""
    command = ["python", "-m", "orchestrator.study", "--resume", str(study["name"])]
    folder = study["settings"].get("results_dir", Settings.results_dir)
    if Path(folder).resolve() != Path(Settings.results_dir).resolve():
        command += ["--results-dir", str(folder)]
    return f"`{shlex.join([*command, '--seeds', str(seeds)])}`"


def _prices(study: Row, hours: float) -> Iterator[str]:
    """What device-hours cost, where the study has prices."""
    prices = [NodePrice(**each) for each in (study.get("forecast") or {}).get("prices", ())]
    if np.isfinite(hours):
        yield from cost_sentences(prices, [hours, hours])


def _taking(hours: float) -> str:
    return f", in {_hours(hours)} for all models" if np.isfinite(hours) else ""


def _hours(hours: float) -> str:
    return f"{between([hours, hours])} device-hours" if np.isfinite(hours) else "some time"


def _points(difference: float) -> str:
    return f"{100 * difference:.2f} points"
