"""Was each group given the same effort: trials, epochs, seconds?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from scipy.stats import binomtest

from orchestrator.audit.finding import IN_ORDER, SIN, UNKNOWN, Finding, of_group
from orchestrator.audit.foreign import FAILED, STOPPED, ForeignStudy, Trial

CHECK: Final = "equal effort"
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
        all_trials = [trial for trial in study.trials if trial.group == group]
        ended = [trial.epochs for trial in study.of(group) if trial.state != STOPPED]
        known = [epochs for epochs in ended if epochs is not None]
        last = max(known, default=None)
        efforts.append(
            Effort(
                group=group,
                trials=len(all_trials),
                configs=len({trial.config for trial in study.of(group)}),
                failed=sum(trial.state == FAILED for trial in all_trials),
                stopped=sum(trial.state == STOPPED for trial in all_trials),
                epochs=_sum([trial.epochs for trial in all_trials]),
                seconds=_sum([trial.seconds for trial in all_trials]),
                last_epoch=last,
                constant=len(known) == len(ended) > 0
                and sum(epochs == last for epochs in known) >= MOSTLY * len(known),
            )
        )
    return efforts


def check_effort(study: ForeignStudy, efforts: Sequence[Effort]) -> Iterator[Finding]:
    """Whether the group of the best trial had more than others."""
    compared = [each for each in efforts if not _is_baseline_alone(study.of(each.group))]
    best = study.best([t for each in compared for t in study.of(each.group)])
    if len(compared) < 2 or best is None:  # noqa: PLR2004 (a comparison needs two)
        yield Finding(
            check=CHECK,
            verdict=UNKNOWN,
            sentence="There are no two groups to compare."
            if study.group_name
            else "Nothing here says which model a trial is of. Name the column by --group.",
        )
        return
    winner = next(each for each in compared if each.group == best.group)
    others = [each for each in compared if each is not winner]
    trials, doubts = _unequal_trials(winner, others)
    epochs, unclear = _unequal_epochs(winner, others)
    if trials:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=UNEQUAL_TRIALS,
            sentence=f"The best group, {of_group(winner.group)}, had more tries than others: its "
            "best is the best of more.",
            evidence=trials,
        )
    if epochs:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=UNEQUAL_EPOCHS,
            sentence=f"Trials of the best group, {of_group(winner.group)}, were trained for "
            "longer than those of others.",
            evidence=epochs,
        )
    if trials or epochs:
        return
    if doubts or unclear:
        yield Finding(
            check=CHECK,
            verdict=UNKNOWN,
            sentence="The best group had more than others, but chance or early stopping may have "
            "done that.",
            evidence=[*doubts, *unclear],
        )
        return
    yield Finding(
        check=CHECK,
        verdict=IN_ORDER,
        sentence=f"The best group, {of_group(winner.group)}, had no more effort than others.",
    )


def _is_baseline_alone(trials: Sequence[Trial]) -> bool:
    return bool(trials) and all(trial.baseline for trial in trials)


def _unequal_trials(winner: Effort, others: Sequence[Effort]) -> tuple[list[str], list[str]]:
    """Groups with too few tries, and those of which chance cannot be ruled out."""
    sure: list[str] = []
    doubtful: list[str] = []
    for other in others:
        if winner.configs < RATIO * max(other.configs, 1):
            continue
        total = winner.configs + other.configs
        chance = binomtest(winner.configs, total, alternative="greater").pvalue * len(others)
        sentence = (
            f"{of_group(winner.group)} has {winner.configs} configurations with a result, "
            f"{of_group(other.group)} has {other.configs}"
        )
        (sure if chance < CHANCE else doubtful).append(sentence)
    return sure, doubtful


def _unequal_epochs(winner: Effort, others: Sequence[Effort]) -> tuple[list[str], list[str]]:
    """Groups whose trials were trained for less, and those that may have been stopped early."""
    sure: list[str] = []
    doubtful: list[str] = []
    for other in others:
        if winner.last_epoch is None or other.last_epoch is None:
            continue
        if winner.last_epoch < RATIO * other.last_epoch:
            continue
        sentence = (
            f"trials of {of_group(winner.group)} ran to epoch {winner.last_epoch:g}, those of "
            f"{of_group(other.group)} to epoch {other.last_epoch:g}"
        )
        (sure if winner.constant and other.constant else doubtful).append(sentence)
    return sure, doubtful


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
