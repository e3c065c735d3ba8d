"""What frozen networks were worth before the search, beside what it found later."""

from collections.abc import Iterator

import pandas as pd
import pyarrow as pa

from orchestrator.analysis.formats import share, words
from orchestrator.analysis.section import Section
from orchestrator.results.study_record import StudyRecord


def probe_sections(study: StudyRecord, trials: pa.Table) -> Iterator[Section]:
    """A table where the study was asked to probe its pre-trained networks.

    Args:
        study: The study.
        trials: `trials.parquet`.
    """
    if not study.probe:
        return
    best: dict[str, float] = {}
    for row in trials.to_pylist():
        if row["validation_accuracy"] is not None:
            best[row["family"]] = max(best.get(row["family"], 0.0), row["validation_accuracy"])
    rows = [{**dict(each), "searched": best.get(each.family)} for each in study.probe]
    first = study.probe[0]
    yield Section(
        key="fairness/probe",
        title="What the frozen networks knew before the search",
        table=pd.DataFrame(rows),
        formats={
            "family": words("family"),
            "linear layer": share("linear_accuracy"),
            "nearest neighbours": share("knn_accuracy"),
            "best trial of the search": share("searched"),
        },
        notes=(
            f"Accuracy on {first.validation_images:,} validation images, after a look at "
            f"{first.train_images:,} training images without training any of the network; of "
            "the search's best trial on all validation images.",
        ),
        place="document",
    )
