"""What the search did: trials, their curves over time, and the rule of early stopping."""

from functools import cached_property

import numpy as np
import pandas as pd

from recomputing.tested import Tested


class Recomputed(Tested):
    """A study's numbers, computed again from its tables."""

    @cached_property
    def of_search(self) -> dict[str, pd.DataFrame]:
        """Search to its trials."""
        return {name: self.trials[self.trials.search == name] for name in self.searches}

    @cached_property
    def can_win(self) -> dict[str, pd.DataFrame]:
        """Search to its trials that can win, the best first."""
        able = self.trials.status.isin(["completed", "stopped"])
        best_first = self.trials[able & self.trials.validation_accuracy.notna()].sort_values(
            ["validation_accuracy", "validation_loss", "trial_id"], ascending=[False, True, True]
        )
        return {name: best_first[best_first.search == name] for name in self.searches}

    @cached_property
    def steps(self) -> dict[str, list[tuple[float, float]]]:
        """After each of a search's epochs: device-seconds spent, and the best by then.

        Searches as they began; the best is missing before a trial that can win.
        """
        rows = self.epochs[self.epochs.trial_id.isin(self.trials.trial_id)].sort_values("sequence")
        seconds = self.trials.set_index("trial_id").device_seconds.fillna(0)
        cost = seconds / rows.trial_id.value_counts()
        found: dict[str, list[tuple[float, float]]] = {}
        for name, own in rows.groupby("search", sort=False):
            able, spent, best = set(self.can_win[name].trial_id), 0.0, np.nan
            found[name] = []
            for trial, value in zip(own.trial_id, own.validation_accuracy, strict=True):
                spent += cost[trial]
                best = np.fmax(best, value) if trial in able else best
                found[name].append((spent, best))
        return found

    def best_within(self, name: str, seconds: float) -> float:
        """The best of a search within so many device-seconds."""
        own = [best for spent, best in self.steps[name] if spent <= seconds * (1 + 1e-9)]
        return own[-1] if own else np.nan

    def rises(self, name: str) -> list[tuple[float, float]]:
        """Where the best of a search rose, and the end of the search."""
        known = [step for step in self.steps.get(name, ()) if not np.isnan(step[1])]
        rose = [b for a, b in zip([(0, None), *known], known, strict=False) if a[1] != b[1]]
        return [*rose, *known[-1:]]

    @cached_property
    def stays(self) -> pd.DataFrame:
        """Every trial and final run: family, start, end and seconds between."""
        seen = self.epochs.groupby("trial_id").reported_at.max().reindex(self.trials.trial_id)
        ends = self.trials.ended_at.fillna(seen.set_axis(self.trials.index))
        trials = self.trials.assign(start=self.trials.started_at, end=ends)
        runs = self.final_epochs.sort_values("reported_at").groupby("trial_id")
        finals = runs.first().assign(end=runs.reported_at.last()).reset_index()
        finals["start"] = finals.reported_at - pd.to_timedelta(finals.epoch_seconds, unit="s")
        both = pd.concat([own[["trial_id", "family", "start", "end"]] for own in (trials, finals)])
        both = both.dropna().assign(seconds=lambda own: (own.end - own.start).dt.total_seconds())
        return both.assign(seconds=both.seconds.clip(lower=0)).sort_values(["start", "trial_id"])


def replayed(
    rows: pd.DataFrame, baselines: set[str], grace: int, factor: int | None, last: int
) -> tuple[pd.DataFrame, set[str]]:
    """Of one search's epochs, those that another setting of ASHA runs, and whom it stops.

    Ray's rule: at the highest rung that is new to a trial it is held against those that arrived
    there before. No rung lies within a fifth of the last epoch, and without a factor there is none.
    """
    rungs: dict[int, dict[str, float]] = {}
    while factor and 5 * grace <= 4 * last:
        rungs = {grace: {}, **rungs}
        grace *= factor
    keep, stopped = [], set[str]()
    for trial, epoch, value in zip(
        rows.trial_id, rows.epoch, rows.validation_accuracy, strict=True
    ):
        keep.append(trial not in stopped)
        new = [own for rung, own in rungs.items() if epoch >= rung and trial not in own]
        if keep[-1] and new:
            earlier, new[0][trial] = [*new[0].values()], value
            weak = earlier and value < np.nanpercentile(earlier, (1 - 1 / factor) * 100)
            if weak and epoch < last and trial not in baselines:
                stopped.add(trial)
    return rows[keep], stopped
