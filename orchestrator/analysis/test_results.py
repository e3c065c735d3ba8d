"""What the test set found: every model at its best validation epoch, and beside the reference."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from orchestrator.analysis.formats import number, spread, words
from orchestrator.analysis.frames import over_seeds, records
from orchestrator.analysis.section import FORMATS, Format, Section, at_largest, present
from orchestrator.cli import counted
from orchestrator.config.searches import search_for, search_of
from orchestrator.results.rows import FinalRow, TrialRow
from orchestrator.results.schema import ROLES
from orchestrator.results.study_record import StudyRecord

METRICS: Final = ("accuracy", "precision", "recall", "loss")
MODEL: Final = ("family", "role")
REFERENCE_DATASET = "cifar10"
REFERENCE: Mapping[str, Sequence[float]] = {
    "cnn": (50, 0.70, 0.71, 0.69, 1.58),
    "resnet50_scratch": (50, 0.66, 0.68, 0.65, 1.56),
    "resnet50_transfer": (50, 0.88, 0.88, 0.87, 0.52),
}
"""Family to epochs and then accuracy, precision, recall and loss on CIFAR-10's test split."""


def result_sections(
    study: StudyRecord, trials: Sequence[TrialRow], finals: Sequence[FinalRow]
) -> Iterator[Section]:
    """Every model at its best epoch by the objective, a table for each fraction of the runs."""
    searches, objective = study.searches, study.settings.objective
    seconds: dict[tuple[str, str], float] = defaultdict(float)
    for row in trials:
        # The baseline's own trial belongs to the search behind the tuned model, too.
        for role in ROLES if row["role"] == "baseline" else ("tuned",):
            seconds[search_of(row["trial_id"]), role] += sum(present([row["device_seconds"]]))
    for place, (fraction, group) in enumerate(groupby(finals, itemgetter("train_fraction"))):
        runs = pd.DataFrame(own := list(group))
        table = over_seeds(runs, MODEL, [f"test_{name}" for name in METRICS])
        table["parameters"] = runs.groupby(list(MODEL), sort=False)["parameters"].first().to_list()
        table["search_device_seconds"] = [
            seconds[search_for(searches, family, fraction).name, role] or np.nan
            for family, role in table[list(MODEL)].itertuples(index=False)
        ]
        first = own[0]
        formats = {
            "model": words(*MODEL),
            **{name: spread(f"test_{name}", name) for name in METRICS},
        }
        if len(set(table["seeds"])) > 1:
            formats["seeds"] = number("seeds")
        yield Section(
            key=f"results/{fraction:g}",
            title=f"Test results at train fraction {fraction:g}: "
            f"{counted(first['train_images'], 'training image')}",
            table=table,
            formats={
                **formats,
                "seeds": number("seeds"),
                "parameters": number("parameters"),
                "search device s": number("search_device_seconds"),
            },
            notes=tuple(_notes(table, first, objective)),
            place="document" if place else "terminal",
            narrow=formats,
        )


def _notes(table: pd.DataFrame, first: FinalRow, objective: str) -> Iterator[str]:
    seeds = sorted(set(table["seeds"]))
    how = (
        f"mean ± deviation of {' or '.join(map(str, seeds))} seeds" if seeds != [1] else "one seed"
    )
    by = "" if objective == "accuracy" else f" (by {in_words(objective)})"
    yield f"At the best validation epoch{by}; precision and recall are macro; {how}."
    validation = counted(first["validation_images"], "validation image")
    yield f"{validation}, {counted(first['test_images'], 'test image')}."


def in_words(objective: str) -> str:
    """What epochs and trials are compared by, as people say it."""
    named = {"balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
    return named.get(objective, objective)


def reference_sections(study: StudyRecord, finals: Sequence[FinalRow]) -> Iterator[Section]:
    """The reference results beside the last epoch of our baselines, where the data are the same."""
    if study.settings.dataset != REFERENCE_DATASET:
        return
    runs = [row for row in at_largest(finals) if row["role"] == "baseline"]
    names = ("epoch", *METRICS)
    rows: list[dict[str, Any]] = [
        {"family": name, "results": "reference", "seeds": 0, **dict(zip(names, known, strict=True))}
        for name, known in REFERENCE.items()
        if name in study.settings.families
    ]
    for results, average in (("ours, macro", ""), ("ours, micro at 0.5", "_micro_at_half")):
        stored = {
            name: f"test_{name}{average if name in {'precision', 'recall'} else ''}_last_epoch"
            for name in METRICS
        }
        own = pd.DataFrame(runs, columns=["family", "last_epoch", *stored.values()])
        own = own.rename(columns={"last_epoch": "epoch", **{v: k for k, v in stored.items()}})
        rows += records(over_seeds(own, ["family"], names).assign(results=results))
    rows.sort(key=lambda row: study.settings.families.index(row["family"]))
    columns = [f"{name}{end}" for name in names for end in ("", "_sd", "_known")]
    notes = [
        "CIFAR-10's test split; ours are the baselines at their last epoch, as the reference's.",
        "The reference's precision and recall fit Keras' micro average at threshold 0.5.",
        *(f"Ours: {counted(run['train_images'], 'training image')}." for run in runs[:1]),
    ]
    yield Section(
        key="results/reference",
        title="Beside the reference results",
        table=pd.DataFrame(rows, columns=["family", "results", *columns, "seeds"]),
        formats={
            "family": words("family"),
            "results": words("results"),
            "epoch": number("epoch"),
            **{name: _beside(name) for name in METRICS},
        },
        notes=tuple(notes),
        place="document",
    )


def _beside(metric: str) -> Format:
    """A cell of ours, or of the reference with the two digits that it was published with."""
    ours = spread(metric, metric)
    scale, _, unit = FORMATS[metric]

    def write(value: float, deviation: float, known: int, seeds: int) -> str:
        if seeds:
            return ours.write(value, deviation, known, seeds)
        return f"{scale * value:.{0 if unit else 2}f}{unit}"

    return Format(ours.columns, write)


def largest_first(final: pa.Table) -> list[FinalRow]:
    """Largest fraction first, families as they stand, baseline before tuned, seeds ascending."""
    families = [*dict.fromkeys(final["family"].to_pylist())]
    return sorted(
        final.to_pylist(),
        key=lambda r: (-r["train_fraction"], families.index(r["family"]), r["role"], r["seed"]),
    )
