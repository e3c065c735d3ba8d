"""The comparison in about 40 lines, for a terminal: `comparison.md` has the rest."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from orchestrator.analysis.answer import TUNED, rank
from orchestrator.analysis.pairwise import interval_cell, leader_first, p_value
from orchestrator.analysis.section import (
    Row,
    Section,
    count,
    grouped,
    model_name,
    present,
    spread,
)
from orchestrator.analysis.test_results import in_order
from orchestrator.compare.document import WARNINGS, Report

METRICS = ("accuracy", "precision", "recall", "loss")
MOST_WARNINGS = 5
MOST_PAIRS = 5


def shorten(report: Report, final: pa.Table, comparison: pa.Table) -> Report:
    """A report without what a terminal leaves out.

    Args:
        report: The whole.
        final: `final.parquet`.
        comparison: `comparison.parquet`.
    """
    finals = in_order(final.to_pylist())
    largest = max((row["train_fraction"] for row in finals), default=None)
    pairs = [row for row in comparison.to_pylist() if row["train_fraction"] == largest]
    sections = [
        *_results([row for row in finals if row["train_fraction"] == largest]),
        *_fractions([row for row in finals if row["role"] == TUNED]),
        _differences(report, finals, pairs),
        *_warnings(report),
    ]
    return Report(
        title=report.title,
        demo=report.demo[:1],
        answer=report.answer,
        sections=tuple(section for section in sections if section.rows or section.sentences),
    )


def _results(runs: Sequence[Row]) -> Iterator[Section]:
    """Every model at the largest train fraction; seeds in a column only where they differ."""
    models = [own for _, own in grouped(runs, "family", "role")]
    if not models:
        return
    seeds = {len(own) for own in models}
    rows = [
        (
            model_name(own[0]),
            *(spread([run[f"test_{name}"] for run in own], name) for name in METRICS),
        )
        for own in models
    ]
    if len(seeds) > 1:
        rows = [(*row, str(len(own))) for row, own in zip(rows, models, strict=True)]
    first = runs[0]
    how = "1 seed each"
    if max(seeds) > 1:
        each = f" {max(seeds)} seeds each" if len(seeds) == 1 else " seeds"
        how = f"mean ± standard deviation over{each}"
    yield Section(
        title=f"Test results at train fraction {first['train_fraction']:g}: "
        f"{count(first['train_images'])} training images",
        columns=("model", *METRICS, *(("seeds",) if len(seeds) > 1 else ())),
        rows=tuple(rows),
        sentences=(f"Macro precision and recall; {how}.",),
    )


def _fractions(tuned: Sequence[Row]) -> Iterator[Section]:
    """The accuracy of the tuned models with less data."""
    images = {row["train_fraction"]: row["train_images"] for row in tuned}
    if len(images) > 1:
        cells = dict(grouped(tuned, "family", "train_fraction"))
        yield Section(
            title="Test accuracy of the tuned models by training images",
            columns=("family", *map(count, images.values())),
            rows=tuple(
                (
                    family,
                    *(
                        spread(
                            [run["test_accuracy"] for run in cells.get((family, each), ())],
                            "accuracy",
                        )
                        for each in images
                    ),
                )
                for family in dict.fromkeys(row["family"] for row in tuned)
            ),
        )


def _differences(report: Report, finals: Sequence[Row], comparison: Sequence[Row]) -> Section:
    """The tuned families against each other, the best first, and what the answer rests on."""
    places = {each.family: place for place, each in enumerate(rank(finals))}
    pairs = []
    for _, own in grouped(comparison, "a_family", "a_role", "b_family", "b_role"):
        accuracy = [row for row in own if row["metric"] == "accuracy"]
        (mean,) = [leader_first(row) for row in accuracy if row["seed"] is None]
        names = mean["a_family"], mean["b_family"]
        if mean["a_role"] == mean["b_role"] == TUNED and {*names} <= {*places}:
            p = max(present(row["p_value_holm"] for row in accuracy), default=None)
            order = sorted(places[name] for name in names)
            pairs.append((order, (*names, interval_cell(mean, "accuracy"), p_value(p))))
    rows = [row for _, row in sorted(pairs)]
    notes = []
    if rows:
        notes.append("p: McNemar's exact test, corrected by Holm; of several seeds the largest.")
    if len(rows) > MOST_PAIRS:
        notes.append(f"{len(rows) - MOST_PAIRS} more pairs in comparison.md.")
    return Section(
        title="Differences in test accuracy",
        columns=("more accurate", "than", "points [95% interval]", "corrected p"),
        rows=tuple(rows[:MOST_PAIRS]),
        sentences=(*notes, *(report.answer.details if report.answer else ())),
    )


def _warnings(report: Report) -> Iterator[Section]:
    for section in report.sections:
        if section.title == WARNINGS:
            lines = section.sentences
            more = len(lines) - MOST_WARNINGS
            left = (f"{more} more in comparison.md.",) if more > 0 else ()
            yield Section(title=WARNINGS, sentences=(*lines[:MOST_WARNINGS], *left))
