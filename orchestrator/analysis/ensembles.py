"""What averaging the seeds of a family's winner is worth on the test images."""

from collections.abc import Iterator, Sequence

import pandas as pd

from orchestrator.analysis.formats import interval, number, share, words
from orchestrator.analysis.section import Format, Section, percent
from orchestrator.called import text_of
from orchestrator.stats.ensemble import Ensemble, ensembles, gain_interval, share_interval
from orchestrator.stats.predictions import PredictedRun


def ensemble_sections(runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """The ensemble of each family's tuned seeds; nothing where no family has two.

    Args:
        runs: The final runs, from `predictions.split_runs`; of the tuned ones those at the largest
            share are taken.
    """
    found = ensembles(runs)
    if not found:
        return
    yield Section(
        key="results/ensembles",
        title="Ensembles of the seeds: not part of the comparison",
        table=pd.DataFrame([_row(each) for each in found]),
        formats={
            "ensemble": words("family"),
            "seeds": number("seeds"),
            "accuracy": share("accuracy"),
            "95% interval": Format(("low", "high"), _from_to),
            "its seeds' mean": share("single"),
            "difference in points": interval("difference", "accuracy"),
        },
        notes=(
            f"The probabilities of a winner's seeds, averaged, as `{text_of('predict')} "
            "RESULTS IMAGES --ensemble` does, which takes as many times as long. The intervals are "
            "of these trainings on other test images; other seeds would give another ensemble. No "
            "family was chosen or compared by this.",
        ),
        place="document",
    )


def _row(ensemble: Ensemble) -> dict[str, str | int | float]:
    low, high = share_interval(ensemble.correct)
    difference_low, difference_high = gain_interval(ensemble.gain)
    accuracy, single = float(ensemble.correct.mean()), float(ensemble.single.mean())
    return {
        "family": ensemble.family,
        "seeds": len(ensemble.single),
        "accuracy": accuracy,
        "low": low,
        "high": high,
        "single": single,
        "difference": accuracy - single,
        "difference_low": difference_low,
        "difference_high": difference_high,
    }


def _from_to(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"
