"""What a reader must know before the numbers: what is missing, unfinished, or not as it seems."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from orchestrator.analysis.section import grouped, percent
from orchestrator.config.searches import search_for
from orchestrator.results.rows import FinalRow, Model, TrialRow
from orchestrator.results.schema import ROLES
from orchestrator.results.states import MAY_WIN
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.collapse import find_collapses
from orchestrator.stats.predictions import PredictedRun

UNEVEN: Final = 1.5
"""Times its even share that the largest class has of the test images, from which on accuracy is
said to be that of the large ones."""
MOST_SEEDS: Final = 5
"""That are listed one by one."""


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
    of_search: dict[str, list[FinalRow]] = defaultdict(list)
    for row in finals:
        of_search[search_for(searches, row["family"], row["train_fraction"]).name].append(row)
    unchanged = [name for name, runs in of_search.items() if _winner_is_baseline(runs)]
    for (fraction, family, role), runs in grouped(finals, "train_fraction", "family", "role"):
        never = [run for run in runs if (run["classes_never_predicted"] or 0) > 0]
        again = role == ROLES[1] and search_for(searches, family, fraction).name in unchanged
        if never and not again:
            yield (
                f"{family} {role} at train fraction {fraction:g} leaves classes that it "
                f"never predicts, {_never_predicted(never, runs)}; their precision counts as 0."
            )
    types = study.device_types
    if len(types) > 1:
        weighed = any("device_speed" in about for about in types.values())
        how = "are weighed by speeds measured at their starts" if weighed else "count alike on each"
        yield f"Trials ran on devices of several types, {', '.join(types)}: device-seconds {how}."
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


def collapses(runs: Sequence[PredictedRun]) -> Iterator[str]:
    """Trainings that collapsed, where the seeds show one."""
    for each in find_collapses(runs):
        yield (
            f"{' '.join(each.run.model)} at train fraction {each.run.fraction:g}, seed "
            f"{each.run.seed}: this training collapsed ({percent(each.accuracy)} on the test set, "
            f"its others {percent(each.others)}). Intervals take training noise for normal, so "
            "those of this model promise more than they hold."
        )


def majority(study: StudyRecord, runs: Sequence[PredictedRun]) -> Iterator[str]:
    """Models that are no better than saying the largest class each time."""
    if not runs:
        return
    counts = np.bincount(runs[0].labels)
    largest, classes = int(counts.argmax()), runs[0].probabilities.shape[1]
    share = counts[largest] / counts.sum()
    name = dict(enumerate(study.dataset.classes)).get(largest, str(largest))
    fraction, hits = max(run.fraction for run in runs), defaultdict[Model, list[float]](list)
    for run in runs:
        if run.fraction == fraction:
            hits[run.model].append(run.correct.mean())
    weak = [" ".join(model) for model, own in hits.items() if np.mean(own) <= share]
    more = ""
    if share * classes >= UNEVEN:
        more = " Recall, or `--set objective=balanced_accuracy`, counts each class alike."
    if weak:
        yield (
            f"Who always says {name!r} is right on {percent(float(share))} of the test images; no "
            f"more than that is {', '.join(weak)}.{more}"
        )


def _never_predicted(never: Sequence[FinalRow], runs: Sequence[FinalRow]) -> str:
    """How many classes, with which seeds; of many seeds how many of them."""
    if len(never) <= MOST_SEEDS:
        return ", ".join(f"{r['classes_never_predicted']} with seed {r['seed']}" for r in never)
    counts = sorted({int(run["classes_never_predicted"] or 0) for run in never})
    many = f"{counts[0]} to {counts[-1]}" if len(counts) > 1 else f"{counts[0]}"
    return f"{many} with {len(never)} of {len(runs)} seeds"


def _unfinished(
    study: StudyRecord, trials: Sequence[TrialRow], finals: Sequence[FinalRow]
) -> Iterator[str]:
    """Sentences on the families and runs that were asked for and are not in the tables."""
    wanted = study.settings.seeds * len(study.settings.train_fractions)
    for family in study.settings.families:
        statuses = Counter(row["status"] for row in trials if row["family"] == family)
        roles = [row["role"] for row in finals if row["family"] == family]
        if not roles and not MAY_WIN & statuses.keys():
            counts = ", ".join(f"{number} {status}" for status, number in statuses.items())
            listed = counts or "none was started"
            yield f"{family}: no trial finished ({listed}), so the family has no winner."
            continue
        if not roles:
            yield f"{family}: trials finished, but there are no final runs, so it has no results."
            continue
        for role in ROLES:
            done = roles.count(role)
            if done < wanted:
                yield f"{family} {role}: only {done} of {wanted} final runs completed."


def _winner_is_baseline(runs: Sequence[FinalRow]) -> bool:
    """Whether the tuned runs of a family are its baseline runs, under both names."""
    baseline, tuned = ({run["trial_id"] for run in runs if run["role"] == role} for role in ROLES)
    return bool(tuned) and tuned == baseline
