"""The whole comparison, before it is written or printed: its sections in their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from orchestrator.analysis.answer import Answer, answer, compared
from orchestrator.analysis.anytime_performance import best_so_far_sections
from orchestrator.analysis.budget_use import forecast_sections
from orchestrator.analysis.calibration import calibration_sections
from orchestrator.analysis.caveats import caveats, collapse_sections, majority_sections
from orchestrator.analysis.confusion_examples import certain_but_wrong_sections
from orchestrator.analysis.early_stopping import early_stopping_sections
from orchestrator.analysis.ensembles import ensemble_sections
from orchestrator.analysis.model_size import transfer_card_sections
from orchestrator.analysis.pairwise import difference_sections
from orchestrator.analysis.per_class import per_class_sections
from orchestrator.analysis.registration import mark_explored, of_answer, registration_sections
from orchestrator.analysis.sample_efficiency import sample_efficiency_sections
from orchestrator.analysis.section import Section
from orchestrator.analysis.selection import fairness_sections, probe_sections
from orchestrator.analysis.settle import KEY as SETTLE
from orchestrator.analysis.settle import settle_sections
from orchestrator.analysis.test_results import in_order, reference_sections, result_sections
from orchestrator.config.searches import label_by_search, label_finals_by_search
from orchestrator.results.rows import Model
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.predictions import PredictedRun
from orchestrator.stats.sample_efficiency import Curve

WARNINGS: Final = "Warnings"
"""The title of the section with what a reader must know before the numbers."""
MOST_WARNINGS: Final = 5
"""That a terminal shows."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything that terminal, Markdown and page say, in its order."""

    title: str
    demo: tuple[str, ...]
    answer: Answer | None = None
    sections: tuple[Section, ...]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know before the numbers."""
        return tuple(_warnings(self.sections))


def _warnings(sections: Iterable[Section]) -> Iterator[str]:
    for section in sections:
        if section.chapter == "warnings":
            yield from section.notes


def _evidence(
    study: StudyRecord,
    tables: Mapping[str, pa.Table],
    runs: Sequence[PredictedRun],
    curves: Mapping[Model, Curve] | None,
) -> Iterator[Section]:
    """The sections that support the comparison, in their order."""
    searches, settings = study.searches, study.settings
    final, trials = tables["final"], tables["trials"]
    by_search = [label_by_search(tables[name]) for name in ("trials", "epochs", "rungs")]
    names = [search.name for search in searches]
    study_by_search = study.model_copy(
        update={"settings": settings.model_copy(update={"families": names})}
    )
    yield from collapse_sections(runs)
    yield from majority_sections(study, runs)
    yield from ensemble_sections(runs)
    yield from settle_sections(study, final, runs, tables["comparison"].to_pylist())
    yield from sample_efficiency_sections(
        final,
        runs,
        per_fraction=settings.tune_per_fraction,
        equal_steps=settings.equal_steps,
        curves=curves,
    )
    yield from calibration_sections(runs)
    yield from per_class_sections(study, runs)
    yield from certain_but_wrong_sections(study, runs)
    yield from fairness_sections(
        study_by_search, by_search[0], label_finals_by_search(final, searches)
    )
    yield from probe_sections(study, trials)
    yield from transfer_card_sections(study, final)
    yield from forecast_sections(study, trials, final)
    yield from best_so_far_sections(*by_search[:2])
    yield from early_stopping_sections(study_by_search, *by_search)


def prepare(
    study: StudyRecord,
    tables: Mapping[str, pa.Table],
    *,
    runs: Sequence[PredictedRun],
    curves: Mapping[Model, Curve] | None = None,
    more: Iterable[Section] = (),
) -> Report:
    """What there is to say.

    Args:
        study: The study.
        tables: By their names: `trials`, `epochs`, `rungs`, `final` and `comparison`; the last
            three may be empty, where nothing could be stopped and where every family failed.
        runs: From `predictions.split_runs`.
        curves: From `sample_efficiency.measure_curves`, where they were measured already.
        more: Further sections, which stand last.
    """
    trials, finals = tables["trials"].to_pylist(), in_order(tables["final"].to_pylist())
    chosen = study.settings.objective
    # As the finals, the largest first.
    pairs = sorted(tables["comparison"].to_pylist(), key=lambda row: -row["train_fraction"])
    evidence = [*_evidence(study, tables, runs, curves), *more]
    sections = [
        Section(
            key="warnings",
            title=WARNINGS,
            notes=(*_warnings(evidence), *caveats(study, trials, finals)),
            place="terminal",
            most=MOST_WARNINGS,
        ),
        *result_sections(study, trials, finals, chosen),
        *registration_sections(study, pairs),
        *difference_sections(pairs, finals),
        *reference_sections(study, finals),
        *(section for section in evidence if section.chapter != "warnings"),
    ]
    found = answer(finals, pairs, chosen)
    demo = tuple(study.demo)
    settling = [
        each.notes[0] for each in evidence if each.key == SETTLE and each.notes and not demo
    ]
    return Report(
        title=f"Comparison of {study.name}",
        demo=demo,
        answer=replace(
            found, details=(*found.details, *settling, *of_answer(study, compared(finals, pairs)))
        ),
        sections=mark_explored(study, [each for each in sections if each.says_something]),
    )
