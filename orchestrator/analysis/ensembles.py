"""What averaging the seeds of a family's winner is worth on the test images."""

from collections.abc import Iterator, Sequence
from typing import Final

import pandas as pd

from orchestrator.analysis.formats import interval, number, share, words
from orchestrator.analysis.section import Format, Section, percent
from orchestrator.called import text_of
from orchestrator.stats.ensemble import Ensemble, ensembles, gain_interval, share_interval
from orchestrator.stats.predictions import PredictedRun

COLUMNS: Final = (
    *("family", "seeds", "accuracy", "low", "high", "single"),
    *("difference", "difference_low", "difference_high"),
)


def ensemble_sections(runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """The ensemble of each family's tuned seeds; nothing where no family has two."""
    found = ensembles(runs)
    if not found:
        return
    yield Section(
        key="results/ensembles",
        title="Ensembles of the seeds: not part of the comparison",
        table=pd.DataFrame(map(_row, found), columns=list(COLUMNS)),
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


def _row(ensemble: Ensemble) -> tuple[str | int | float, ...]:
    accuracy, single = ensemble.accuracy, float(ensemble.single.mean())
    ends = share_interval(ensemble.correct)
    gain = (accuracy - single, *gain_interval(ensemble.gain))
    return ensemble.family, len(ensemble.single), accuracy, *ends, single, *gain


def _from_to(low: float, high: float) -> str:
    return f"{percent(low)} to {percent(high)}"
