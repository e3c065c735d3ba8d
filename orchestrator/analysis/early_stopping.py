"""What early stopping did: each rung of ASHA, whether early ranks held, and what was saved."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.stats import spearmanr

from orchestrator.analysis.section import MISSING, Row, Section, count, grouped, percent, present

FEWEST_TO_RANK = 3
"""Two trials have a rank correlation of -1 or 1 whatever they are."""


ENOUGH_TRIALS = 5
"""With fewer trials a rank correlation says too little."""
LOW_CORRELATION = 0.5
SECONDS_PER_HOUR = 3600


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


def early_stopping_sections(
    study: Row, trials: pa.Table, epochs: pa.Table, rungs: pa.Table
) -> tuple[Section, ...]:
    """The sections on early stopping, for `comparison.md` and the terminal.

    Args:
        study: `study.json`, with `epochs` and `families` in its `settings`.
        trials: `trials.parquet`.
        epochs: `epochs.parquet`.
        rungs: `rungs.parquet`.
    """
    last_epoch = study["settings"]["epochs"]
    summaries = summarize_rungs(rungs)
    return (
        _rung_section(study, summaries),
        _rank_section(correlate_ranks(rungs, epochs, last_epoch=last_epoch)),
        Section(
            title="Early stopping: what it saved",
            sentences=tuple(
                _saving_sentence(saving, last_epoch)
                for saving in estimate_savings(trials, last_epoch=last_epoch)
            ),
        ),
    )


def _rung_section(study: Row, rungs: Sequence[Rung]) -> Section:
    seen = {rung.family for rung in rungs}
    sentences = [
        f"{family}: no trial arrived at a rung, so none could be stopped early."
        for family in study["settings"]["families"]
        if family not in seen
    ]
    sentences += [
        f"{rung.family}: the baseline was below the cut-off at epoch {rung.epoch} and went on, as "
        "baselines always do."
        for rung in rungs
        if rung.protected
    ]
    return Section(
        title="Early stopping: the rungs",
        columns=("family", "epoch", "arrivals", "median accuracy", "last cut-off", "survivors"),
        rows=tuple(
            (
                rung.family,
                str(rung.epoch),
                count(rung.arrivals),
                percent(rung.median),
                percent(rung.last_cutoff),
                count(rung.arrivals - rung.stopped),
            )
            for rung in rungs
        ),
        sentences=tuple(sentences),
    )


def _rank_section(correlations: Sequence[RankCorrelation]) -> Section:
    rows = tuple(
        (
            each.family,
            str(each.earlier),
            str(each.later),
            count(each.trials),
            MISSING if each.rho is None else f"{each.rho:z.2f}",
        )
        for each in correlations
    )
    return Section(
        title="Early stopping: do early ranks hold?",
        columns=("family", "from epoch", "to epoch", "trials at both", "Spearman's rho"),
        rows=rows,
        sentences=tuple(_rank_sentences(correlations)),
    )


def _rank_sentences(correlations: Sequence[RankCorrelation]) -> Iterator[str]:
    few: dict[str, list[str]] = {}
    for each in correlations:
        if each.trials < ENOUGH_TRIALS:
            few.setdefault(each.family, []).append(f"{each.earlier} to {each.later}")
        elif each.rho is not None and each.rho < LOW_CORRELATION:
            yield (
                f"Warning: {each.family}: the order of the trials at epoch {each.earlier} says "
                f"little about their order at epoch {each.later} (rho {each.rho:z.2f} over "
                f"{each.trials} trials, below {LOW_CORRELATION}): early stopping may have ended "
                "trials that would have won; a longer grace period would show."
            )
    yield from _too_few(few)
    if correlations:
        yield (
            "Rho is Spearman's rank correlation of validation accuracy over the trials that "
            "reached both epochs; those stopped before the later one are not in it."
        )


def _too_few(few: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for family, spans in few.items():
        yield (
            f"{family}: fewer than {ENOUGH_TRIALS} trials reached both ends of epochs "
            f"{', '.join(spans)}: that says too little."
        )


def _saving_sentence(saving: Saving, last_epoch: int) -> str:
    if not saving.stopped:
        return f"{saving.family}: no trial was stopped early, so nothing was saved."
    whole = saving.epochs_run + saving.epochs_saved
    sentence = (
        f"{saving.family}: {saving.stopped:,} of {saving.trials:,} trials were stopped early, "
        f"which saved {saving.epochs_saved:,} of {whole:,} epochs "
        f"({percent(saving.epochs_saved / whole, 0)}) against running them to epoch {last_epoch}"
    )
    if saving.device_seconds_saved is None or saving.seconds_per_epoch is None:
        return f"{sentence}."
    return (
        f"{sentence}, an estimated {_hours(saving.device_seconds_saved)} at the family's "
        f"{saving.seconds_per_epoch:.3g} device-seconds per epoch."
    )


def _hours(device_seconds: float) -> str:
    hours = device_seconds / SECONDS_PER_HOUR
    shown = f"{hours:.2g}" if hours < 1 else f"{hours:,.1f}"
    return f"{shown} device-hours"
