"""Was each group given the same effort: trials, epochs, seconds?"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.stats import binomtest

from orchestrator.analysis.section import present
from orchestrator.audit.finding import Check, Finding, of_group
from orchestrator.audit.foreign import FAILED, STOPPED, ForeignStudy, tuned

CHECK: Final = Check("equal effort")
UNEQUAL_TRIALS: Final = "unequal number of trials"
UNEQUAL_EPOCHS: Final = "unequal number of epochs"
RATIO: Final = 1.5
"""The winner's effort over another group's, from which it is unequal."""
CHANCE: Final = 0.01
"""Where trials are shared out at random: a share that is less likely was no chance."""
MOSTLY: Final = 0.9
"""Of a group's trials, that ended at its last epoch, where nothing stops them early."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """What a group was given.

    Attributes:
        group: Its name.
        trials: All of its trials.
        configs: Distinct hyperparameters among those that have a result.
        failed: Trials that failed.
        stopped: Trials that were stopped early.
        epochs: Of all trials; None where they are not recorded.
        seconds: Likewise.
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


def measure_effort(study: ForeignStudy) -> list[Effort]:
    """What each group was given, in the order in which they appear."""
    efforts = []
    for group in study.groups:
        trials, usable = [t for t in study.trials if t.group == group], study.of(group)
        ended = [trial.epochs for trial in usable if trial.state != STOPPED]
        known = present(ended)
        constant = len(known) == len(ended) > 0 and known.count(max(known)) >= MOSTLY * len(known)
        efforts.append(
            Effort(
                group=group,
                trials=len(trials),
                configs=len({trial.config for trial in usable}),
                failed=sum(trial.state == FAILED for trial in trials),
                stopped=sum(trial.state == STOPPED for trial in trials),
                epochs=_sum(trial.epochs for trial in trials),
                seconds=_sum(trial.seconds for trial in trials),
                last_epoch=max(known, default=None),
                constant=constant,
            )
        )
    return efforts


def _sum(values: Iterable[float | None]) -> float | None:
    known = present(values)
    return sum(known) if known else None


def check_effort(study: ForeignStudy, efforts: Sequence[Effort]) -> list[Finding]:
    """Whether the group of the best trial had more than others."""
    usable = {each.group: study.of(each.group) for each in efforts}
    compared = [e for e in efforts if tuned(usable[e.group]) or not usable[e.group]]
    best = study.best([trial for each in compared for trial in usable[each.group]])
    if len(compared) < 2 or best is None:  # noqa: PLR2004 (a comparison needs two)
        nameless = "Nothing here says which model a trial is of. Name the column by --group."
        no_pair = "There are no two groups to compare."
        return [CHECK.unknown(no_pair if study.group_name else nameless)]
    winner = next(each for each in compared if each.group == best.group)
    others, name = [each for each in compared if each is not winner], of_group(winner.group)
    trials, epochs = list(_more_trials(winner, others)), list(_more_epochs(winner, others))
    sins = []
    if evidence := [line for line, sure in trials if sure]:
        more = "had more tries than others: its best is the best of more."
        sins.append(CHECK.sin(UNEQUAL_TRIALS, f"The best group, {name}, {more}", *evidence))
    if evidence := [line for line, sure in epochs if sure]:
        longer = "were trained for longer than those of others."
        sentence = f"Trials of the best group, {name}, {longer}"
        sins.append(CHECK.sin(UNEQUAL_EPOCHS, sentence, *evidence))
    if sins:
        return sins
    if trials or epochs:
        doubts = [line for line, _ in (*trials, *epochs)]
        had_more = "The best group had more than others, but chance or early stopping may have done"
        return [CHECK.unknown(f"{had_more} that.", *doubts)]
    return [CHECK.in_order(f"The best group, {name}, had no more effort than others.")]


def _more_trials(winner: Effort, others: Sequence[Effort]) -> Iterator[tuple[str, bool]]:
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


def _more_epochs(winner: Effort, others: Sequence[Effort]) -> Iterator[tuple[str, bool]]:
    """A sentence for each group that trained for less, and whether nothing was stopped early."""
    for other in others:
        if winner.last_epoch is None or other.last_epoch is None:
            continue
        if winner.last_epoch < RATIO * other.last_epoch:
            continue
        sentence = (
            f"trials of {of_group(winner.group)} ran to epoch {winner.last_epoch:g}, those of "
            f"{of_group(other.group)} to epoch {other.last_epoch:g}"
        )
        yield sentence, winner.constant and other.constant
