"""The rule of Ray's ASHA, by which rungs are explained and checked."""

from bisect import insort
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from orchestrator.config.searches import search_of
from orchestrator.results.rows import Epoch, EpochRow
from trainables.epoch_rows import objective

FINISHED: Final = "finished"
EXEMPT: Final = "protected"


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """A trial's arrival at a rung; the last columns of `rungs.parquet`.

    Attributes:
        rung: The rung's milestone, in epochs.
        value: The objective there.
        cutoff: What the rung's earlier arrivals ask for; None for the first.
        decision: `continue`, `stop`, `protected` (a baseline that would have been stopped) or
            `finished` (the last epoch).
    """

    epoch: int
    rung: int
    value: float
    cutoff: float | None
    decision: str


def decision(*, weak: bool, exempt: bool) -> str:
    """The stored word for what becomes of a trial at a rung before the last epoch."""
    return (EXEMPT if exempt else "stop") if weak else "continue"


@dataclass
class Rung:
    """Who has arrived at a rung, and their values in ascending order."""

    trials: set[str] = field(default_factory=set)
    values: list[float] = field(default_factory=list)

    def cutoff(self, share: float) -> float | None:
        """The value that this share of the arrivals lie below; None before the first.

        Between two arrivals it is interpolated, rounded as NumPy's `nanpercentile` does, which Ray
        asks: so ties with it fall the same way.
        """
        if not self.values:
            return None
        position = share * (len(self.values) - 1)
        below = int(position)
        low, high = self.values[below], self.values[min(below + 1, len(self.values) - 1)]
        part = position - below
        return low + (high - low) * part if 2 * part < 1 else high - (high - low) * (1 - part)


class FamilyRungs:
    """The rungs of each search: a trial is held against its own search's alone.

    A trial must be among the best 1 / `reduction_factor` of those that came before it, so the
    second to arrive is stopped if it is worse than the first: Ray's rule, not the paper's (Li et
    al. 2020), see docs/STATISTICS.md. Decides by the order of arrivals alone, so the same rows in
    the same order give the same rungs, whoever computes them and when.
    """

    def __init__(
        self, searches: Iterable[str], *, rungs: Sequence[int], epochs: int, reduction_factor: int
    ) -> None:
        """Starts without an arrival at the rungs, which are in epochs as is a whole trial."""
        self._epochs = epochs
        self._share = (1 - 1 / reduction_factor) * 100 / 100  # a percentage, as Ray rounds it
        milestones = sorted(rungs, reverse=True)
        self._rungs = {search: {rung: Rung() for rung in milestones} for search in searches}

    def arrive(self, search: str, trial_id: str, row: Epoch, *, exempt: bool) -> Arrival | None:
        """Takes an epoch of a trial; an exempt one, a baseline, goes on whatever the rule says.

        Returns:
            What was decided at the highest rung that is new to the trial, None where there is none.
        """
        epoch, value = row["epoch"], objective(row)
        for milestone, rung in self._rungs[search].items():
            if epoch < milestone or trial_id in rung.trials:
                continue
            cutoff = rung.cutoff(self._share)
            rung.trials.add(trial_id)
            insort(rung.values, value)
            weak = cutoff is not None and value < cutoff
            word = FINISHED if epoch >= self._epochs else decision(weak=weak, exempt=exempt)
            return Arrival(epoch=epoch, rung=milestone, value=value, cutoff=cutoff, decision=word)
        return None

    def replay(
        self, rows: Iterable[EpochRow], *, exempt: Container[str], origin: str = ""
    ) -> Iterator[tuple[EpochRow, Arrival]]:
        """Takes stored epochs in their order, and gives each at a rung with what was decided.

        The baselines among their trials are exempt; `origin` tells another study's trials from
        those of the same ids.
        """
        for row in rows:
            name = row["trial_id"]
            arrival = self.arrive(search_of(name), f"{origin}/{name}", row, exempt=name in exempt)
            if arrival is not None:
                yield row, arrival
