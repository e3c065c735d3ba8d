"""Studies side by side: what differs, what they cost, what they found, and paired differences."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import pandas as pd

from orchestrator.analysis.budget_use import BUDGET_USE, measure_budget_use
from orchestrator.analysis.formats import interval, number, p_value, spread, words
from orchestrator.analysis.frames import frame, over_seeds
from orchestrator.analysis.pairwise import named_ends
from orchestrator.analysis.section import MISSING, Row, Section, grouped, table_csv, worded
from orchestrator.analysis.test_results import METRICS, MODEL, in_words
from orchestrator.cli import counted
from orchestrator.compare.document import WARNINGS, Report
from orchestrator.compare.study_differences import SHOWN_OF_A_HASH, differences_section
from orchestrator.results import schema
from orchestrator.results.lock import holder_of, state_of
from orchestrator.results.states import Outcome
from orchestrator.results.study_results import StudyResults
from orchestrator.stats.across_studies import TestedStudy, pair_studies, why_not_comparable
from orchestrator.stats.predictions import split_runs

ROW = (
    *("a_study", "b_study", "a_family", "a_role", "a_fraction", "b_fraction", "seed", "metric"),
    *("difference", "ci_low", "ci_high", "p_value", "p_value_holm", "n_images", "n_seeds"),
)


@dataclass(frozen=True, kw_only=True)
class Side:
    """One of the studies, with what its models said about the test images at its largest share."""

    name: str
    results: StudyResults
    tested: TestedStudy


def read_sides(folders: Sequence[Path]) -> list[Side]:
    """Reads what is needed of each study; where the names of two are alike, they are shown whole.

    Raises:
        ValueError: A folder is no study, stands twice, or its finals have not begun.
        OSError: A file cannot be read.
    """
    real = [folder.resolve() for folder in folders]
    if len(set(real)) < len(real):
        raise ValueError(f"studies must differ, but got {', '.join(map(str, folders))}")
    names = [folder.name for folder in real]
    sides = []
    for folder, short in zip(folders, names, strict=True):
        name, results = short if names.count(short) == 1 else str(folder), StudyResults(folder)
        study = results.study
        for table in ("trials", "final", "predictions", "events"):  # else one is found lacking late
            results.table(table)
        runs = split_runs(results.table("predictions"), study.settings.families)
        largest = max((run.fraction for run in runs), default=None)
        own = TestedStudy(
            name=name,
            data=study.dataset.files,
            runs=[run for run in runs if run.fraction == largest],
        )
        sides.append(Side(name=name, results=results, tested=own))
    return sides


def side_by_side(sides: Sequence[Side]) -> tuple[Report, list[dict[str, Any]]]:
    """The report on two or more studies, and the rows of their paired differences."""
    names = [side.name for side in sides]
    rows = pair_studies([side.tested for side in sides])
    sections = [
        Section(key="warnings", title=WARNINGS, notes=tuple(_flags(sides)), place="terminal"),
        differences_section(names, [side.results.study for side in sides]),
        _budget_use_section(sides),
        _results_section(sides),
        *_pair_sections(sides, rows),
        _openings_section(sides),
    ]
    report = Report(
        title=f"{' and '.join(names)} side by side",
        demo=tuple(f"{side.name}: {line}" for side in sides for line in side.results.study.demo),
        sections=tuple(section for section in sections if section.says_something),
    )
    return report, rows


def differences_csv(rows: Sequence[Row]) -> str:
    """The paired differences as CSV."""
    return table_csv(pd.DataFrame(rows, columns=ROW, dtype=object))


def _flags(sides: Sequence[Side]) -> Iterator[str]:
    for side in sides:
        study = side.results.study
        state = state_of(study.outcome, holder_of(side.results.folder))
        if state != Outcome.COMPLETED:
            yield f"{side.name}: the study is {state}, so what stands here may change."
        if study.test_openings > 1:
            yield (
                f"{side.name}: its test set was opened {study.test_openings} times, for "
                "different choices; later results are not from a test set unseen until then."
            )
    yield (
        "Whoever chooses between studies by these test results has used the test set to choose: "
        "the chosen one's results are then too good rather than too bad."
    )


def _budget_use_section(sides: Sequence[Side]) -> Section:
    rows = []
    for side in sides:
        given = (frame(side.results.table(name)) for name in ("trials", "final"))
        used = measure_budget_use(side.results.study.settings.families, *given)
        rows.append(used.assign(study=side.name))
    return Section(
        key="effort/given",
        title="What each search was given",
        table=pd.concat(rows),
        formats={"study": words("study"), **BUDGET_USE},
        place="terminal",
    )


def _results_section(sides: Sequence[Side]) -> Section:
    finals = {side.name: frame(side.results.table("final")) for side in sides}
    runs = pd.concat([own.assign(study=name) for name, own in finals.items()], ignore_index=True)
    by = (*MODEL, "study", "train_images")
    table = over_seeds(runs, by, [f"test_{name}" for name in METRICS])
    order = [*(name for side in sides for name in side.results.settings.families), *schema.ROLES]
    lacking = [name for name, own in finals.items() if own.empty]
    objectives = dict.fromkeys(in_words(side.results.settings.objective) for side in sides)
    return Section(
        key="results/all",
        title="Test results",
        table=table.sort_values(list(MODEL), kind="stable", key=lambda own: own.map(order.index)),
        formats={
            "model": words(*MODEL),
            "study": words("study"),
            "training images": number("train_images"),
            **{name: spread(f"test_{name}", name) for name in METRICS},
            "seeds": number("seeds"),
        },
        notes=(
            f"At the epoch with the best validation {' or '.join(objectives)}, means over seeds.",
            *(f"{name}: there are no final runs, so it has no results." for name in lacking),
        ),
        place="terminal",
    )


def _pair_sections(sides: Sequence[Side], rows: Sequence[Row]) -> Iterator[Section]:
    found = dict(grouped(rows, "a_study", "b_study"))
    for number_, (a, b) in enumerate(combinations(sides, 2)):
        why = why_not_comparable(a.tested, b.tested)
        own = found.get((a.name, b.name), [])
        note = "They have no family and role in common."
        if why is not None:
            note = f"Not comparable pairwise: {why}. Only the tables stand side by side."
        elif own:
            note = (
                "Differences of the means over seeds on the same "
                f"{counted(own[0]['n_images'], 'test image')}, accuracy in points, with 95% "
                "intervals; p corrected by Holm for all models and pairs of studies."
            )
            if min(row["n_seeds"] for row in own if row["seed"] is None) == 1:
                note += " With one seed an interval covers test-sampling noise only."
        means = grouped([row for row in own if row["seed"] is None], "a_family", "a_role")
        yield Section(
            key=f"pairs/{number_}",
            title=f"{a.name} minus {b.name}",
            table=pd.DataFrame([pair_row(of_model) for _, of_model in means]),
            formats={
                "model": words("a_family", "a_role"),
                **{name: interval(name, name) for name in METRICS},
                "corrected p": p_value("p_value_holm"),
            },
            notes=(note,),
            place="terminal",
        )


def pair_row(means: Sequence[Row], by: Sequence[str] = ("a_family", "a_role")) -> dict[str, Any]:
    """One pair, named by some columns, its metrics side by side."""
    (p,) = [row["p_value_holm"] for row in means if row["metric"] == "accuracy"]
    return {**{name: means[0][name] for name in by}, **named_ends(*means), "p_value_holm": p}


def _openings_section(sides: Sequence[Side]) -> Section:
    openings = {
        side.name: [
            (f"{row['at']:%Y-%m-%d %H:%M:%S}", (row["detail"] or MISSING)[:SHOWN_OF_A_HASH])
            for row in side.results.rows("events")
            if row["kind"] == schema.TEST_OPENED
        ]
        for side in sides
    }
    return worded(
        key="openings/all",
        title="Openings of the test set",
        columns=("study", "at (UTC)", "for the choice"),
        rows=[(name, *row) for name, own in openings.items() for row in own],
        notes=tuple(f"{name}: none is recorded." for name, own in openings.items() if not own),
        place="terminal",
    )
