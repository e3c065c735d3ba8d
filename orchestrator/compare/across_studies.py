"""Studies side by side: what differs, what they cost, what they found, and paired differences."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pyarrow as pa

from orchestrator.analysis.budget_use import measure_effort
from orchestrator.analysis.pairwise import holm_of_seeds, interval_cell
from orchestrator.analysis.section import MISSING, Row, Section, count, grouped, model_name, spread
from orchestrator.analysis.test_results import MAIN_COLUMNS
from orchestrator.compare.document import WARNINGS, Report
from orchestrator.compare.study_differences import SHOWN_OF_A_HASH, differences_section
from orchestrator.results import schema
from orchestrator.results.foreign_text import safe_cell
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.across_studies import TestedStudy, pair_studies, why_not_comparable
from orchestrator.stats.predictions import split_runs

ROW = (
    *("a_study", "b_study", "a_family", "a_role", "a_fraction", "b_fraction", "seed", "metric"),
    *("difference", "ci_low", "ci_high", "p_value", "p_value_holm", "n_images", "n_seeds"),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the studies.

    Attributes:
        name: By which it is shown.
        study: `study.json`.
        trials: `trials.parquet`.
        final: `final.parquet`.
        openings: Rows of `events.parquet`, one for each opening of the test set.
        tested: What its models said about the test images, at its largest fraction.
    """

    name: str
    study: Row
    trials: pa.Table
    final: pa.Table
    openings: Sequence[Row]
    tested: TestedStudy


def read_side(folder: Path, *, names: Sequence[Path]) -> Side:
    """Reads what is needed of a study.

    Args:
        folder: The study's.
        names: The folders of all; where two end alike, they are shown whole.

    Raises:
        ValueError: The folder is no study, or its finals have not begun.
        OSError: A file cannot be read.
    """
    results = StudyResults(folder)
    study = results.study
    trials, final, predictions, events = map(
        results.table, ("trials", "final", "predictions", "events")
    )
    same = [each for each in names if each.name == folder.resolve().name]
    name = folder.resolve().name if len(same) == 1 else str(folder)
    runs = split_runs(predictions)
    largest = max((run.fraction for run in runs), default=None)
    return Side(
        name=name,
        study=study,
        trials=trials,
        final=final,
        openings=[row for row in events.to_pylist() if row["kind"] == schema.TEST_OPENED],
        tested=TestedStudy(
            name=name,
            data=json.dumps((study.get("dataset") or {}).get("files"), sort_keys=True),
            runs=[run for run in runs if run.fraction == largest],
        ),
    )


def side_by_side(sides: Sequence[Side]) -> tuple[Report, list[dict[str, Any]]]:
    """The report on two or more studies, and the rows of their paired differences.

    Raises:
        ValueError: The same folder stands twice.
    """
    names = [side.name for side in sides]
    if len(set(names)) < len(names):
        message = f"studies must differ, but got {', '.join(names)}"
        raise ValueError(message)
    rows = pair_studies([side.tested for side in sides])
    sections = [
        Section(title=WARNINGS, sentences=tuple(_flags(sides))),
        differences_section(names, [side.study for side in sides]),
        _effort_section(sides),
        _results_section(sides),
        *_pair_sections(sides, rows),
        _openings_section(sides),
    ]
    demo = tuple(f"{s.name}: {line}" for s in sides for line in s.study.get("demo") or ())
    report = Report(
        title=f"{' and '.join(names)} side by side",
        demo=demo,
        sections=tuple(section for section in sections if section.rows or section.sentences),
    )
    return report, rows


def differences_csv(rows: Sequence[Row]) -> str:
    """The paired differences as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, ROW, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({k: safe_cell(v) if isinstance(v, str) else v for k, v in row.items()})
    return text.getvalue()


def _flags(sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        outcome = side.study.get("outcome", "completed")
        if outcome != "completed":
            yield f"{side.name}: the study is {outcome}, so what stands here may change."
        openings = side.study.get("test_openings", 1)
        if openings > 1:
            yield (
                f"{side.name}: its test set was opened {openings} times, for different choices; "
                "later results are not from a test set unseen until then."
            )
    yield (
        "Whoever chooses between studies by these test results has used the test set to choose: "
        "the chosen one's results are then too good rather than too bad."
    )


def _effort_section(sides: Sequence[Side]) -> Section:
    return Section(
        title="What each search was given",
        columns=("study", "family", "trials", "epochs", "search device s", "finals device s"),
        rows=tuple(
            (
                side.name,
                each.family,
                count(each.trials),
                count(each.epochs),
                f"{each.search_seconds:,.0f}",
                f"{each.finals_seconds:,.0f}",
            )
            for side in sides
            for each in measure_effort(side.study["settings"]["families"], side.trials, side.final)
        ),
    )


def _results_section(sides: Sequence[Side]) -> Section:
    rows, sentences = [], ["At the epoch with the best validation accuracy, means over seeds."]
    for side in sides:
        finals: list[Row] = side.final.to_pylist()
        if not finals:
            sentences.append(f"{side.name}: there are no final runs, so it has no results.")
        for _, runs in grouped(finals, "train_fraction", "family", "role"):
            metrics = [spread([run[f"test_{m}"] for run in runs], m) for m in schema.METRICS]
            images = count(runs[0]["train_images"])
            rows.append((model_name(runs[0]), side.name, images, *metrics, str(len(runs))))
    return Section(
        title="Test results",
        columns=("model", "study", "training images", *MAIN_COLUMNS, "seeds"),
        rows=tuple(sorted(rows, key=lambda row: row[0])),
        sentences=tuple(sentences),
    )


def _pair_sections(sides: Sequence[Side], rows: Sequence[Row]) -> Iterator[Section]:
    found = dict(grouped(rows, "a_study", "b_study"))
    for a, b in combinations(sides, 2):
        title = f"{a.name} minus {b.name}"
        why = why_not_comparable(a.tested, b.tested)
        own = found.get((a.name, b.name), [])
        if why is not None:
            said = f"Not comparable pairwise: {why}. Only the tables stand side by side."
            yield Section(title=title, sentences=(said,))
        elif not own:
            yield Section(title=title, sentences=("They have no family and role in common.",))
        else:
            yield _pair_section(title, own)


def _pair_section(title: str, rows: Sequence[Row]) -> Section:
    table = []
    for _, own in grouped(rows, "a_family", "a_role"):
        means = {row["metric"]: row for row in own if row["seed"] is None}
        cells = [interval_cell(means[metric], metric) for metric in schema.METRICS]
        accuracies = [row for row in own if row["metric"] == "accuracy"]
        holm = ", ".join(holm_of_seeds(accuracies)) or MISSING
        table.append((model_name(own[0], "a_"), *cells, holm))
    first = rows[0]
    sentences = [
        f"On the same {first['n_images']:,} test images: differences of the means over seeds with "
        "95% intervals, accuracy in points; McNemar's p of each seed both have, adjusted by Holm "
        "over all models and pairs of studies shown here.",
    ]
    if min(row["n_seeds"] for row in rows if row["seed"] is None) == 1:
        sentences.append("With one seed an interval covers test-sampling noise only.")
    return Section(
        title=title,
        columns=("model", "loss", "accuracy", "precision", "recall", "Holm-adjusted p"),
        rows=tuple(table),
        sentences=tuple(sentences),
    )


def _openings_section(sides: Sequence[Side]) -> Section:
    return Section(
        title="Openings of the test set",
        columns=("study", "at (UTC)", "for the choice"),
        rows=tuple(
            (
                side.name,
                f"{row['at']:%Y-%m-%d %H:%M:%S}",
                (row["detail"] or MISSING)[:SHOWN_OF_A_HASH],
            )
            for side in sides
            for row in side.openings
        ),
        sentences=tuple(f"{side.name}: none is recorded." for side in sides if not side.openings),
    )
