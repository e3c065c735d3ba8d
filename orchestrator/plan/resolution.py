"""What a plan will be able to tell apart, before its first epoch: the smallest difference."""

from pathlib import Path
from typing import Final

import numpy as np

from orchestrator.cli import counted
from orchestrator.config.settings import Settings
from orchestrator.results import files
from orchestrator.stats import power
from orchestrator.stats.intervals import FEWEST_SEEDS
from orchestrator.stats.power import SEED_NOISE
from orchestrator.stats.predictions import largest_share, split_runs, tuned_hits
from trainables.data.dataset import OpenedDataSet

DISAGREEMENT: Final = 0.2
"""Assumed share of the test images that one of two models alone is right on. Two that are right on
70% and on 88%, as in the reference results, differ on 18% at least."""
NEEDED: Final = ("started_at", "dataset.name", "dataset.files")


def resolution(settings: Settings, dataset: OpenedDataSet) -> str | None:
    """The difference in accuracy that a study sees with a chance of 80%, in a sentence.

    The noise is that of the two best tuned families of the latest study in the results folder on
    the very same data, if there is one with two seeds or more in which both are better than who
    always says the largest class; otherwise it is assumed.

    Returns:
        None where only decoding tells how many test images there are.
    """
    if dataset.image_counts is None:
        return None
    seeds, images = settings.seeds, dataset.image_counts[1]
    noise, source = _measured(settings, dataset) or (
        power.assumed(disagreement=DISAGREEMENT, seed_noise=SEED_NOISE),
        f"assumed, as are {100 * DISAGREEMENT:.0f}% of the images that one alone is right on",
    )
    smallest = power.outlook(noise, seeds=seeds, images=images).smallest
    size = f"that differ by {100 * smallest:.1f} points"
    sees = f"two models {size}" if smallest < 1 else "no two models"
    unknown = ""
    if seeds < FEWEST_SEEDS:
        sees = f"two trained networks {size}"
        unknown = " What other trainings of the same families would give takes 2 seeds to see."
    return (
        f"{counted(seeds, 'seed')} and {counted(images, 'test image')} separate {sees} "
        f"({100 * power.POWER:.0f}% power; seed noise of {100 * noise.seed_noise:.1f} points "
        f"{source}).{unknown}"
    )


def _measured(settings: Settings, dataset: OpenedDataSet) -> tuple[power.Noise, str] | None:
    """The noise of the two best tuned families in the latest study on the same data with some."""
    for folder, study in files.studies_in(Path(settings.results_dir).expanduser(), NEEDED):
        if (study.dataset.name, study.dataset.files) != (settings.dataset, dict(dataset.files)):
            continue
        try:
            runs = split_runs(files.read_table(folder, "predictions"))
        except (ValueError, OSError):  # it has no finals yet, or they are damaged: not this one's
            continue
        several = [hits for hits in tuned_hits(runs).values() if len(hits) >= FEWEST_SEEDS]
        best = sorted(several, key=np.mean, reverse=True)[:2]
        # Two that say one class each time hardly differ, whatever others will do.
        learned = [hits for hits in best if hits.mean() > largest_share(runs[0].labels)]
        if len(learned) == 2 and best[0].shape[1] == best[1].shape[1]:  # noqa: PLR2004 (a pair)
            return power.measure(*best), f"as in {folder.name}"
    return None
