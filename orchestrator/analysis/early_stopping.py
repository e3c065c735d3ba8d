"""What early stopping did: each rung of ASHA, whether early ranks held, and what was saved."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from orchestrator.analysis.section import Row, grouped, present

FEWEST_TO_RANK = 3
"""Two trials have a rank correlation of -1 or 1 whatever they are."""


@dataclass(frozen=True, kw_only=True)
class Rung:
    """What happened at one rung of one family.

    Attributes:
        family: The family's name.
        epoch: The rung's milestone.
        arrivals: Trials that reached it.
        median: Of their validation accuracies there, a fraction.
        last_cutoff: What the last arrival that met a cut-off was held against; None where the
            rung never had one.
        stopped: Trials that ended there.
        protected: Baselines that went on below the cut-off.
    """

    family: str
    epoch: int
    arrivals: int
    median: float
    last_cutoff: float | None
    stopped: int
    protected: int


@dataclass(frozen=True, kw_only=True)
class RankCorrelation:
    """Whether the trials of a family stand in the same order at two of its epochs.

    Attributes:
        family: The family's name.
        earlier: The earlier rung, in epochs.
        later: The later rung, or the last epoch.
        trials: That reached both.
        rho: Spearman's (1904), average ranks for ties; None for fewer than 3 trials or where
            all of them have the same value at either epoch.
    """

    family: str
    earlier: int
    later: int
    trials: int
    rho: float | None


@dataclass(frozen=True, kw_only=True)
class Saving:
    """What a family saved against running its stopped trials to the last epoch.

    Attributes:
        family: The family's name.
        trials: All of the family.
        stopped: Trials that ASHA stopped.
        epochs_run: By all trials of the family.
        epochs_saved: That the stopped ones did not run.
        seconds_per_epoch: Device-seconds of the family's trials with an epoch, per epoch; None
            without an epoch.
    """

    family: str
    trials: int
    stopped: int
    epochs_run: int
    epochs_saved: int
    seconds_per_epoch: float | None

    @property
    def device_seconds_saved(self) -> float | None:
        """An estimate: the epochs saved at the family's mean cost."""
        return (
            None if self.seconds_per_epoch is None else self.epochs_saved * self.seconds_per_epoch
        )


def summarize_rungs(rungs: pa.Table) -> list[Rung]:
    """Each rung of each family, families as they appear, epochs ascending.

    Args:
        rungs: `rungs.parquet`.
    """
    rows = sorted(rungs.to_pylist(), key=lambda row: row["sequence"])
    summaries = []
    for (family, epoch), arrivals in grouped(rows, "family", "rung"):
        decisions = [row["decision"] for row in arrivals]
        cutoffs = present(row["cutoff"] for row in arrivals)
        summaries.append(
            Rung(
                family=family,
                epoch=epoch,
                arrivals=len(arrivals),
                median=float(np.median([row["value"] for row in arrivals])),
                last_cutoff=cutoffs[-1] if cutoffs else None,
                stopped=decisions.count("stop"),
                protected=decisions.count("protected"),
            )
        )
    families = list(dict.fromkeys(rung.family for rung in summaries))
    return sorted(summaries, key=lambda rung: (families.index(rung.family), rung.epoch))


def correlate_ranks(rungs: pa.Table, epochs: pa.Table, *, last_epoch: int) -> list[RankCorrelation]:
    """How well each rung's order of trials foretells that of each later rung and of the end.

    Args:
        rungs: `rungs.parquet`.
        epochs: `epochs.parquet`; gives the validation accuracies at the last epoch.
        last_epoch: Of a whole trial.
    """
    ended = epochs.filter(pc.field("epoch") == last_epoch).to_pylist()
    correlations = []
    for (family,), arrivals in grouped(rungs.to_pylist(), "family"):
        values = {
            rung: {row["trial_id"]: row["value"] for row in rows}
            for (rung,), rows in grouped(arrivals, "rung")
        }
        values[last_epoch] = {
            row["trial_id"]: row["validation_accuracy"] for row in ended if row["family"] == family
        }
        for earlier, later in combinations(sorted(values), 2):
            both = [trial for trial in values[earlier] if trial in values[later]]
            rho = _spearman(
                *([values[epoch][trial] for trial in both] for epoch in (earlier, later))
            )
            correlations.append(
                RankCorrelation(
                    family=family, earlier=earlier, later=later, trials=len(both), rho=rho
                )
            )
    return correlations


def estimate_savings(trials: pa.Table, *, last_epoch: int) -> list[Saving]:
    """What each family saved, families as they appear.

    Args:
        trials: `trials.parquet`.
        last_epoch: Of a whole trial.
    """
    return [
        _saving(family, rows, last_epoch)
        for (family,), rows in grouped(trials.to_pylist(), "family")
    ]


def _spearman(earlier: Sequence[float], later: Sequence[float]) -> float | None:
    if len(earlier) < FEWEST_TO_RANK or len(set(earlier)) == 1 or len(set(later)) == 1:
        return None
    return float(spearmanr(earlier, later).statistic)


def _saving(family: str, rows: Sequence[Row], last_epoch: int) -> Saving:
    stopped = [row["epochs_run"] for row in rows if row["status"] == "stopped"]
    run = [row for row in rows if row["epochs_run"]]
    epochs_run = sum(row["epochs_run"] for row in run)
    seconds = sum(present(row["device_seconds"] for row in run))
    return Saving(
        family=family,
        trials=len(rows),
        stopped=len(stopped),
        epochs_run=epochs_run,
        epochs_saved=sum(last_epoch - (epochs or 0) for epochs in stopped),
        seconds_per_epoch=seconds / epochs_run if epochs_run else None,
    )
