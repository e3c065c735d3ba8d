"""What early stopping did: the rungs, whether early ranks held, what was saved, and what else."""

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Sequence
from itertools import combinations, product
from typing import Final, cast

import numpy as np
import pandas as pd

from orchestrator.analysis.formats import alike, number, points, share, words
from orchestrator.analysis.frames import records
from orchestrator.analysis.section import Section
from orchestrator.analysis.test_results import in_words
from orchestrator.config.rungs import offered_rungs
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.results.rows import EpochRow
from orchestrator.results.states import MAY_WIN, State
from orchestrator.results.study_record import StudyRecord
from orchestrator.stats.asha import FamilyRungs
from trainables.epoch_rows import objective

FEWEST_TO_RANK: Final = 3
"""Two trials have a rank correlation of -1 or 1 whatever they are."""
FACTORS: Final = (2, 3, 4)
"""Reduction factors that the stored curves are replayed with, beside the study's own."""
REPLAYED: Final = (
    *("family", "grace_period", "reduction_factor", "epochs", "share_saved"),
    *("accuracy", "difference", "exact"),
)


def summarize_rungs(rungs: pd.DataFrame) -> pd.DataFrame:
    """Each rung of each search, searches as they appear, epochs ascending.

    Returns:
        `family`, `rung`, `arrivals`, `median` of their objective there, `cutoff` that the last
        arrival was held against (missing where there was none), `survivors`, and `protected`, the
        baselines that went on below it.
    """
    rows = rungs.sort_values("sequence")
    order = pd.Categorical(rows["family"], rungs["family"].unique())
    decided = {name: rows["decision"] == name for name in ("stop", "protected")}
    groups = rows.assign(family=order, **decided).groupby(["family", "rung"], observed=True)
    table = groups.agg(
        arrivals=("trial_id", "size"),
        median=("value", "median"),
        cutoff=("cutoff", "last"),
        stopped=("stop", "sum"),
        protected=("protected", "sum"),
    ).reset_index()
    return table.astype({"family": object}).assign(survivors=table["arrivals"] - table["stopped"])


def correlate_ranks(rungs: pd.DataFrame, epochs: pd.DataFrame, *, last_epoch: int) -> pd.DataFrame:
    """How well each rung's order of trials foretells that of each later rung and of the end.

    Returns:
        `family`, `earlier` and `later` epoch, `trials` that reached both, and `rho`, Spearman's
        rank correlation of their objective; missing below three trials or with ties only.
    """
    ended = epochs[epochs["epoch"] == last_epoch].rename(columns={"objective": "value"})
    columns = ["family", "trial_id", "rung", "value"]
    values = pd.concat([rungs[columns], ended.assign(rung=last_epoch)[columns]])
    rows = []
    for family in dict.fromkeys(rungs["family"]):
        own = values[values["family"] == family]
        wide = own.pivot_table("value", "trial_id", "rung", aggfunc="last")
        for earlier, later in combinations(sorted({*wide.columns, last_epoch}), 2):
            both = wide.reindex(columns=[earlier, later]).dropna()
            varied = len(both) >= FEWEST_TO_RANK and bool((both.min() < both.max()).all())
            rho = both[earlier].corr(both[later], method="spearman") if varied else np.nan
            rows.append((family, earlier, later, len(both), rho))
    return pd.DataFrame(rows, columns=["family", "earlier", "later", "trials", "rho"])


def estimate_savings(trials: pd.DataFrame, *, last_epoch: int) -> pd.DataFrame:
    """What each search saved against running its stopped trials to the last epoch.

    Returns:
        `family`, `trials`, `stopped`, `epochs_run`, `epochs_saved`, `share_saved` of all epochs,
        and `device_seconds_saved`, an estimate at the search's mean cost of an epoch.
    """
    stopped, epochs = trials["status"] == State.STOPPED, trials["epochs_run"].fillna(0)
    groups = trials.assign(
        stopped=stopped,
        epochs_run=epochs,
        epochs_saved=(last_epoch - epochs).where(stopped, 0),
        seconds=trials["device_seconds"].where(epochs > 0),
    ).groupby("family", sort=False)
    sums = groups[["stopped", "epochs_run", "epochs_saved", "seconds"]].sum()
    table = groups.size().rename("trials").to_frame().join(sums).reset_index()
    whole = (table["epochs_run"] + table["epochs_saved"]).replace(0, np.nan)
    table["share_saved"] = table["epochs_saved"] / whole
    ran = table["epochs_run"].replace(0, np.nan)
    table["device_seconds_saved"] = table["epochs_saved"] * table.pop("seconds") / ran
    return table


def replay_settings(study: StudyRecord, trials: pd.DataFrame, epochs: pd.DataFrame) -> pd.DataFrame:
    """What other grace periods and reduction factors would have made of the stored curves.

    The rule is applied to the epochs in the order in which they came. Where it stops a trial
    earlier than the study did, all is known; where it would have let one go on that the study
    stopped, the epochs it would have run are counted, and its accuracy is at least what it was.

    Returns:
        A row for each search and setting: `family`, `grace_period`, `reduction_factor` (missing
        without early stopping), `epochs` it would have run, `share_saved` of running all trials to
        the end, `accuracy` (or what else is the objective) on validation of the best trial that can
        win, `difference` to that of the study, and `exact`, no where that is a lower bound, or that
        it is the study's own setting.
    """
    settings = study.settings
    last, grace, factor = settings.epochs, settings.grace_period, settings.reduction_factor
    graces = sorted({max(1, grace // 2), grace, min(2 * grace, last)})
    # The last is without early stopping.
    others = [*product(graces, sorted({*FACTORS, factor})), (last, np.nan)]
    known = trials.set_index("trial_id")
    exempt = set(known.index[known["role"] == "baseline"])
    may_win = set(known.index[known["status"].isin(MAY_WIN)])
    curves = epochs.sort_values("sequence")
    rows = []
    for family in study.settings.families:
        mine = cast("list[EpochRow]", records(curves[curves["family"] == family]))
        if not mine:
            continue
        cut = set(known.index[(known["family"] == family) & (known["status"] == State.STOPPED)])
        best, whole = _best(mine, may_win), last * len({row["trial_id"] for row in mine})
        for setting in others:
            ran, missed = _replayed(mine, exempt, setting, settings)
            beyond = cut - missed
            counts = Counter(row["trial_id"] for row in ran)
            count = len(ran) + sum(last - counts[name] for name in beyond)
            accuracy, exact = _best(ran, may_win), "no" if beyond else "yes"
            exact = "the study's own" if setting == (grace, factor) else exact
            numbers = (count, 1 - count / whole, accuracy, accuracy - best)
            rows.append((family, *setting, *numbers, exact))
    return pd.DataFrame(rows, columns=list(REPLAYED) if rows else None)


def _best(rows: Iterable[EpochRow], trials: Container[str]) -> float:
    """The highest objective of an epoch of these trials; not a number where they have none."""
    return max((objective(row) for row in rows if row["trial_id"] in trials), default=np.nan)


def _replayed(
    rows: Sequence[EpochRow], exempt: set[str], setting: tuple[float, float], stored: StoredSettings
) -> tuple[list[EpochRow], set[str]]:
    """The epochs that would have been run, and the trials that would have been stopped."""
    if np.isnan(setting[1]):
        return list(rows), set()
    family, (grace, factor) = rows[0]["family"], map(int, setting)
    other = stored.model_copy(update={"grace_period": grace, "reduction_factor": factor})
    rule = FamilyRungs(
        [family], rungs=offered_rungs(other), epochs=stored.epochs, reduction_factor=factor
    )
    ran, stopped = [], set[str]()
    for row in rows:
        name = row["trial_id"]
        if name not in stopped:
            ran.append(row)
            arrival = rule.arrive(family, name, row, exempt=name in exempt)
            if arrival is not None and arrival.decision == "stop":
                stopped.add(name)
    return ran, stopped


def early_stopping_sections(
    study: StudyRecord, trials: pd.DataFrame, epochs: pd.DataFrame, rungs: pd.DataFrame
) -> Iterator[Section]:
    """What early stopping did in each search, which is named as a family in the study."""
    last_epoch, measure = study.settings.epochs, in_words(study.settings.objective)
    yield Section(
        key="stopping/saved",
        title="Early stopping: what it saved",
        table=estimate_savings(trials, last_epoch=last_epoch),
        formats={
            **alike(words, "family"),
            **alike(number, "trials", "stopped", "epochs_run", "epochs_saved"),
            "of all": share("share_saved", 0),
            "device-hours saved": number("device_seconds_saved", ",.2g", scale=1 / 3600),
        },
        notes=("Against running every trial to its last epoch, at each search's mean cost.",),
    )
    yield Section(
        key="stopping/settings",
        title="Early stopping: what other settings would have done",
        table=replay_settings(study, trials, epochs),
        formats={
            **alike(words, "family"),
            **alike(number, "grace_period"),
            "factor": number("reduction_factor"),
            "epochs": number("epochs"),
            "saved": share("share_saved", 0),
            "best trial": share("accuracy"),
            "against the study's (points)": points("difference"),
            **alike(words, "exact"),
        },
        notes=(
            "The rule applied to the stored curves in the order in which their epochs came; the "
            "trials are those that the search asked for, whatever it would have asked for then. "
            "Where a trial goes on that the study stopped, it counts with all epochs and with the "
            f"best {measure} it had: then nothing is exact, and the {measure} a lower bound. "
            "A dash is no early stopping.",
        ),
    )
    yield Section(
        key="stopping/rungs",
        title="Early stopping: the rungs",
        table=summarize_rungs(rungs),
        formats={
            "family": words("family"),
            "epoch": number("rung"),
            "arrivals": number("arrivals"),
            f"median {measure}": share("median"),
            "last cut-off": share("cutoff"),
            "survivors": number("survivors"),
            "baseline kept": number("protected"),
        },
    )
    yield Section(
        key="stopping/ranks",
        title="Early stopping: do early ranks hold?",
        table=correlate_ranks(rungs, epochs, last_epoch=last_epoch),
        formats={
            "family": words("family"),
            "from epoch": number("earlier"),
            "to epoch": number("later"),
            "trials at both": number("trials"),
            "Spearman's rho": number("rho", "z.2f"),
        },
        notes=(
            f"Rho is the rank correlation of validation {measure} over the trials that reached "
            "both epochs. Survivors are alike, so it is lower among them than among all trials, "
            "and says nothing on whether one that was stopped would have won.",
        ),
    )
