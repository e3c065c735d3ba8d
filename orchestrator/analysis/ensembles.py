"""What averaging the seeds of a family's winner is worth on the test images."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import pandas as pd

from orchestrator.analysis.formats import interval, number, share, words
from orchestrator.analysis.section import Format, Section
from orchestrator.called import text_of
from orchestrator.stats.ensemble import ensembles, gain_interval, share_interval
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
    rows: list[tuple[Any, ...]] = []
    for each in found:
        single, ends = float(each.single.mean()), share_interval(each.correct)
        gain = (each.accuracy - single, *gain_interval(each.gain))
        rows.append((each.family, len(each.single), each.accuracy, *ends, single, *gain))
    yield Section(
        key="results/ensembles",
        title="Ensembles of the seeds: not part of the comparison",
        table=pd.DataFrame(rows, columns=list(COLUMNS)),
        formats={
            "ensemble": words("family"),
            "seeds": number("seeds"),
            "accuracy": share("accuracy"),
            "95% interval": Format(("low", "high"), "{:.2%} to {:.2%}".format),
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
