"""The whole comparison, before it is written or printed: its sections in their order."""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pandas as pd
import pyarrow as pa

from orchestrator.analysis.answer import Answer, answer, pair_of, rank
from orchestrator.analysis.anytime_performance import best_so_far_sections
from orchestrator.analysis.budget_use import forecast_sections, overspent
from orchestrator.analysis.calibration import calibration_sections
from orchestrator.analysis.caveats import caveats, collapses, majority
from orchestrator.analysis.confusion_examples import certain_but_wrong_sections
from orchestrator.analysis.early_stopping import early_stopping_sections
from orchestrator.analysis.ensembles import ensemble_sections
from orchestrator.analysis.frames import by_search, frame, in_order
from orchestrator.analysis.model_size import transfer_card_sections
from orchestrator.analysis.pairwise import difference_sections
from orchestrator.analysis.per_class import per_class_sections
from orchestrator.analysis.registration import mark_explored, of_answer, registration_sections
from orchestrator.analysis.sample_efficiency import sample_efficiency_sections
from orchestrator.analysis.section import Section
from orchestrator.analysis.selection import fairness_sections, probe_sections
from orchestrator.analysis.settle import settle_section, settle_table
from orchestrator.analysis.test_results import largest_first, reference_sections, result_sections
from orchestrator.called import words_of
from orchestrator.config.searches import label_finals_by_search
from orchestrator.results.going_on import resume_command
from orchestrator.results.rows import Model
from orchestrator.results.states import ENDED, MAY_WIN
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
        return next((each.notes for each in self.sections if each.topic == "warnings"), ())


def _to_go_on(study: StudyRecord, trials: pd.DataFrame) -> str:
    """What to do where no final run was tested."""
    if study.outcome not in ENDED or trials["status"].isin(MAY_WIN).any():
        again = resume_command(study.folder)
        return f"No final run was tested yet: unless the study runs, `{again}` goes on with it."
    command = shlex.join([*words_of("status"), str(study.folder)])
    return f"No trial finished: `{command}` shows what there is, and what failed."


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
    settings, searches = study.settings, study.searches
    final = in_order(tables["final"], settings.families)
    trials, finals = tables["trials"].to_pylist(), largest_first(final)
    comparison = in_order(tables["comparison"], settings.families, "a_family").to_pylist()
    # As the finals, the largest first.
    pairs = sorted(comparison, key=lambda row: -row["train_fraction"])
    search = [*by_search(study, tables).values()]
    of_search, of_finals = frame(tables["trials"]), frame(final)
    families = [each.name for each in searches]
    of_searches = settings.model_copy(update={"families": families})
    study_by_search = study.model_copy(update={"settings": of_searches})
    settling = settle_section(*settle_table(study, final, runs, comparison))
    given = search[0], frame(label_finals_by_search(final, searches))
    evidence = [
        *ensemble_sections(runs),
        settling,
        *sample_efficiency_sections(final, runs, settings, curves),
        *calibration_sections(runs),
        *per_class_sections(study, runs),
        *certain_but_wrong_sections(study, runs),
        *fairness_sections(study_by_search, *given),
        *probe_sections(study, of_search),
        *transfer_card_sections(study, final),
        *forecast_sections(study, of_search, of_finals),
        *best_so_far_sections(*search[:2]),
        *early_stopping_sections(study_by_search, *search),
        *more,
    ]
    sections = [
        Section(
            key="warnings",
            title=WARNINGS,
            notes=(
                *collapses(runs),
                *majority(study, runs),
                *overspent(study_by_search, *given),
                *caveats(study, trials, finals),
            ),
            place="terminal",
            most=MOST_WARNINGS,
        ),
        *result_sections(study, trials, finals),
        *registration_sections(study, pairs),
        *difference_sections(pairs, finals),
        *reference_sections(study, finals),
        *evidence,
    ]
    found = answer(finals, pairs, settings.objective)
    details = [*found.details, *(() if study.demo else settling.notes[:1])]
    if not finals:
        details += [_to_go_on(study, of_search)]
    details += of_answer(study, pair_of(pairs, rank(finals)))
    return Report(
        title=f"Comparison of {study.name}",
        demo=tuple(study.demo),
        answer=replace(found, details=tuple(details)),
        sections=mark_explored(study, [each for each in sections if each.says_something]),
    )
