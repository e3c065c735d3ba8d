"""Was each group given the same effort, and the baseline among the trials what the best was?"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.stats import binomtest

from orchestrator.analysis.section import present
from orchestrator.audit.finding import Check, Finding, listed, of_group
from orchestrator.audit.foreign import FAILED, STOPPED, ForeignStudy, Trial, tuned
from orchestrator.cli import counted

BASELINE: Final = Check("baseline")
MISSING: Final = "baseline not in the study"
CUT_SHORT: Final = "baseline cut short"
LEAST_SHARE: Final = 0.5
"""Of the best trial's epochs, below which a baseline was cut short."""
BUDGET_USE: Final = Check("equal effort")
UNEQUAL_TRIALS: Final = "unequal number of trials"
UNEQUAL_EPOCHS: Final = "unequal number of epochs"
RATIO: Final = 1.5
"""The winner's effort over another group's, from which it is unequal."""
CHANCE: Final = 0.01
"""Where trials are shared out at random: a share that is less likely was no chance."""
MOSTLY: Final = 0.9
"""Of a group's trials, that ended at its last epoch, where nothing stops them early."""


def check_baseline(study: ForeignStudy) -> Finding:
    """Whether the baseline is there, and trained as long as the best trial."""
    baselines = [trial for trial in study.trials if trial.baseline]
    if not baselines:
        return _missing(study)
    usable = [trial for trial in baselines if trial.usable]
    shown = listed([trial.name for trial in baselines])
    if not usable:
        return BASELINE.unknown(
            f"The baseline ({shown}) has no result, so nothing can be compared with it."
        )
    cut = list(_cut_short(study, usable))
    if cut:
        return BASELINE.sin(
            CUT_SHORT,
            "The baseline was trained for less than the trial that it is compared with.",
            *cut,
        )
    return BASELINE.in_order(
        f"The baseline is among the trials: {counted(len(usable), 'trial')} ({shown})."
    )


def _missing(study: ForeignStudy) -> Finding:
    if study.said.baseline is not None:
        return BASELINE.sin(
            MISSING,
            "The baseline that was named is none of the trials: no gain over it can be claimed "
            "from this study.",
            f"no trial of {len(study.trials)} has {study.said.baseline}",
        )
    given = [trial.name for trial in study.trials if trial.given]
    hint = f"; trial {listed(given)} was given, not proposed, and may be it" if given else ""
    return BASELINE.unknown(f"Nothing here is called a baseline{hint}. Name it by --baseline.")


def _cut_short(study: ForeignStudy, baselines: Sequence[Trial]) -> Iterator[str]:
    """A sentence for each baseline that had less than half of its group's best trial's epochs."""
    for baseline in baselines:
        best = study.best(tuned(study.of(baseline.group)) or tuned(study.usable))
        if best is None or best.epochs is None or baseline.epochs is None:
            continue
        if not study.better(study.score(best), study.score(baseline)):
            continue
        stopped = baseline.state == STOPPED
        if baseline.epochs < (1 if stopped else LEAST_SHARE) * best.epochs:
            how = "was stopped early" if stopped else "ended"
            yield (
                f"baseline {baseline.name} {how} after {baseline.epochs:g} epochs, the best trial "
                f"{best.name} had {best.epochs:g}"
            )


@dataclass(frozen=True, kw_only=True)
class BudgetUse:
    """What a group was given.

    Attributes:
        configs: Distinct hyperparameters among the trials that have a result.
        stopped: Trials that were stopped early.
        epochs: Of all trials, as their seconds; None where they are not recorded.
        last_epoch: Of the longest trial that was not stopped; None where it is not known.
        constant: Trials that were not stopped had the same number of epochs, but for a tenth.
    """

    group: str
    trials: int
    configs: int
    failed: int
    stopped: int
    epochs: float | None
    seconds: float | None
    last_epoch: float | None
    constant: bool


def measure_budget_use(study: ForeignStudy) -> list[BudgetUse]:
    """What each group was given, in the order in which they appear."""
    return [_budget_use_of(study, group) for group in study.groups]


def _budget_use_of(study: ForeignStudy, group: str) -> BudgetUse:
    trials, usable = [t for t in study.trials if t.group == group], study.of(group)
    ended = [trial.epochs for trial in usable if trial.state != STOPPED]
    known = present(ended)
    return BudgetUse(
        group=group,
        trials=len(trials),
        configs=len({trial.config for trial in usable}),
        failed=sum(trial.state == FAILED for trial in trials),
        stopped=sum(trial.state == STOPPED for trial in trials),
        epochs=_sum(trial.epochs for trial in trials),
        seconds=_sum(trial.seconds for trial in trials),
        last_epoch=max(known, default=None),
        constant=len(known) == len(ended) > 0 and known.count(max(known)) >= MOSTLY * len(known),
    )


def _sum(values: Iterable[float | None]) -> float | None:
    known = present(values)
    return sum(known) if known else None


def check_budget_use(study: ForeignStudy, uses: Sequence[BudgetUse]) -> list[Finding]:
    """Whether the group of the best trial had more than others."""
    usable = {each.group: study.of(each.group) for each in uses}
    compared = [e for e in uses if tuned(usable[e.group]) or not usable[e.group]]
    best = study.best([trial for each in compared for trial in usable[each.group]])
    if len(compared) < 2 or best is None:  # noqa: PLR2004 (a comparison needs two)
        nameless = "Nothing here says which model a trial is of. Name the column by --group."
        no_pair = "There are no two groups to compare."
        return [BUDGET_USE.unknown(no_pair if study.group_name else nameless)]
    winner = next(each for each in compared if each.group == best.group)
    others, name = [each for each in compared if each is not winner], of_group(winner.group)
    trials, epochs = list(_more_trials(winner, others)), list(_more_epochs(winner, others))
    sins = []
    if evidence := [line for line, sure in trials if sure]:
        more = "had more tries than others: its best is the best of more."
        sins.append(BUDGET_USE.sin(UNEQUAL_TRIALS, f"The best group, {name}, {more}", *evidence))
    if evidence := [line for line, sure in epochs if sure]:
        longer = "were trained for longer than those of others."
        sentence = f"Trials of the best group, {name}, {longer}"
        sins.append(BUDGET_USE.sin(UNEQUAL_EPOCHS, sentence, *evidence))
    if sins:
        return sins
    if trials or epochs:
        doubts = [line for line, _ in (*trials, *epochs)]
        had_more = "The best group had more than others, but chance or early stopping may have done"
        return [BUDGET_USE.unknown(f"{had_more} that.", *doubts)]
    return [BUDGET_USE.in_order(f"The best group, {name}, had no more effort than others.")]


def _more_trials(winner: BudgetUse, others: Sequence[BudgetUse]) -> Iterator[tuple[str, bool]]:
    """A sentence for each group with too few tries, and whether chance can be ruled out."""
    for other in others:
        if winner.configs < RATIO * max(other.configs, 1):
            continue
        total = winner.configs + other.configs
        chance = binomtest(winner.configs, total, alternative="greater").pvalue * len(others)
        sentence = (
            f"{of_group(winner.group)} has {winner.configs} configurations with a result, "
            f"{of_group(other.group)} has {other.configs}"
        )
        yield sentence, chance < CHANCE


def _more_epochs(winner: BudgetUse, others: Sequence[BudgetUse]) -> Iterator[tuple[str, bool]]:
    """A sentence for each group that trained for less, and whether nothing was stopped early."""
    for other in others:
        if (winner.last_epoch or 0) < RATIO * (other.last_epoch or math.inf):
            continue
        sentence = (
            f"trials of {of_group(winner.group)} ran to epoch {winner.last_epoch:g}, those of "
            f"{of_group(other.group)} to epoch {other.last_epoch:g}"
        )
        yield sentence, winner.constant and other.constant
