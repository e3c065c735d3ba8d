"""What a reader must know before the numbers: what is missing, unfinished, or not as it seems."""

from collections.abc import Iterator, Sequence
from typing import Any

from orchestrator.analysis.section import Section, grouped, model_name, percent, present
from orchestrator.config.searches import search_for
from orchestrator.results.rows import FinalRow, TrialRow
from orchestrator.results.schema import ROLES
from orchestrator.results.states import MAY_WIN
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.collapse import find_collapses
from orchestrator.stats.predictions import PredictedRun


def caveats(
    study: StudyRecord, trials: Sequence[TrialRow], finals: Sequence[FinalRow]
) -> Iterator[str]:
    """Sentences on whatever makes the tables mean something else; what weighs most comes first."""
    if study.test_openings > 1:
        yield (
            f"The test set was opened {study.test_openings} times, for different choices: "
            "the results of the later ones are not from a test set unseen until then."
        )
    yield from _unfinished(study, trials, finals)
    searches = study.searches
    of_search: dict[str, list[FinalRow]] = {}
    for row in finals:
        name = search_for(searches, row["family"], row["train_fraction"]).name
        of_search.setdefault(name, []).append(row)
    unchanged = [name for name, runs in of_search.items() if _winner_is_baseline(runs)]
    for (fraction, family, role), runs in grouped(finals, "train_fraction", "family", "role"):
        never = [run for run in runs if (run["classes_never_predicted"] or 0) > 0]
        again = role == ROLES[1] and search_for(searches, family, fraction).name in unchanged
        if never and not again:
            listed = ", ".join(
                f"{r['classes_never_predicted']} with seed {r['seed']}" for r in never
            )
            yield (
                f"{model_name(runs[0])} at train fraction {fraction:g} leaves classes that it "
                f"never predicts, {listed}; their precision counts as 0."
            )
    yield from _device_types(study)
    if study.settings.warm_start:
        yield (
            "The search learned from the trials of another study first (warm start): they and what "
            "they took are in no number of this one."
        )
    for name in unchanged:
        yield f"{name}: the search found nothing better than the baseline."
    for family, deviations in study.baseline_deviations.items():
        listed = ", ".join(
            f"{name} {used} instead of {standard}" for name, (used, standard) in deviations.items()
        )
        if listed:
            yield f"{family}: the baseline deviates from the standard one: {listed}."
    yield from study.dataset.notes


def _device_types(study: StudyRecord) -> Iterator[str]:
    """A sentence where trials ran on devices of several types."""
    types = study.device_types
    if len(types) > 1:
        weighed = any("device_speed" in about for about in types.values())
        how = "are weighed by speeds measured at their starts" if weighed else "count alike on each"
        yield f"Trials ran on devices of several types, {', '.join(types)}: device-seconds {how}."


def collapse_sections(runs: Sequence[PredictedRun]) -> Iterator[Section]:
    """What a reader must know of trainings that collapsed, where the seeds show one.

    Args:
        runs: From `predictions.split_runs`.
    """
    yield Section(
        key="warnings/collapses",
        title="Trainings that collapsed",
        notes=tuple(
            f"{' '.join(each.run.model)} at train fraction {each.run.fraction:g}, "
            f"seed {each.run.seed}: "
            f"this training collapsed ({percent(each.accuracy)} on the test set, its others "
            f"{percent(each.others)}). Intervals take training noise for normal, so those of this "
            "model promise more than they hold."
            for each in find_collapses(runs)
        ),
    )


def _unfinished(
    study: StudyRecord, trials: Sequence[TrialRow], finals: Sequence[FinalRow]
) -> Iterator[str]:
    """Sentences on the families and runs that were asked for and are not in the tables."""
    of_family = dict(grouped(trials, "family"))
    for family in study.settings.families:
        statuses = [row["status"] for row in of_family.get((family,), [])]
        if not any(status in MAY_WIN for status in statuses):
            counts = [f"{statuses.count(status)} {status}" for status in dict.fromkeys(statuses)]
            listed = ", ".join(counts) or "none was started"
            yield f"{family}: no trial finished ({listed}), so the family has no winner."
        elif all(row["family"] != family for row in finals):
            yield f"{family}: trials finished, but there are no final runs, so it has no results."
        else:
            yield from _missing_runs(study, [row for row in finals if row["family"] == family])


def _missing_runs(study: StudyRecord, finals: Sequence[FinalRow]) -> Iterator[str]:
    """Sentences on the final runs of one family that are not in the tables."""
    wanted = study.settings.seeds * len(study.settings.train_fractions)
    for role in ROLES:
        completed = sum(row["role"] == role for row in finals)
        if completed < wanted:
            name = f"{finals[0]['family']} {role}"
            yield f"{name}: only {completed} of {wanted} final runs completed."


def _winner_is_baseline(runs: Sequence[FinalRow]) -> bool:
    """Whether the tuned runs of a family are its baseline runs, under both names."""
    by_role: dict[str, list[dict[str, Any]]] = {"baseline": [], "tuned": []}
    for row in sorted(runs, key=lambda row: (row["train_fraction"], row["seed"])):
        compared = {
            name: value for name, value in row.items() if name.startswith(("test_", "params_json"))
        }
        by_role[row["role"]].append({**compared, "seed": row["seed"]})
    # Two runs without a measured accuracy are not the same for having nothing to tell them apart.
    measured = all(present([row["test_accuracy"]]) for row in by_role["tuned"])
    return bool(by_role["tuned"]) and measured and by_role["tuned"] == by_role["baseline"]
