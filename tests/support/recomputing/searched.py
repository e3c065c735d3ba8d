"""What the search did: trials, epochs, rungs and devices."""

from functools import cached_property
from itertools import combinations

import pandas as pd
from scipy.stats import spearmanr

from recomputing.tables import Tables


class Searched(Tables):
    """The trials of the searches."""

    @cached_property
    def _of_search(self) -> dict[str, pd.DataFrame]:
        return {name: self.trials[self.trials.search == name] for name in self.searches}

    def of_search(self, name: str) -> pd.DataFrame:
        """Its trials."""
        return self._of_search[name]

    @cached_property
    def _can_win(self) -> dict[str, pd.DataFrame]:
        able = self.trials.status.isin(["completed", "stopped"])
        best_first = self.trials[able & self.trials.validation_accuracy.notna()].sort_values(
            ["validation_accuracy", "validation_loss", "trial_id"], ascending=[False, True, True]
        )
        return {name: best_first[best_first.search == name] for name in self.searches}

    def can_win(self, name: str) -> pd.DataFrame:
        """Its trials that can, the best first."""
        return self._can_win[name]

    def best(self, name: str) -> float:
        """The best validation accuracy of a search."""
        return self.can_win(name).validation_accuracy.iloc[0]

    def winner(self, name: str) -> str:
        """The trial that has it."""
        return self.can_win(name).trial_id.iloc[0]

    def of_baseline(self, name: str) -> float | None:
        """The best validation accuracy of a search's baseline."""
        own = self.of_search(name)
        values = own[own.role == "baseline"].validation_accuracy.dropna()
        return values.iloc[0] if len(values) else None

    def spent(self, name: str) -> float:
        """Device-seconds of a search."""
        return self.of_search(name).device_seconds.sum()

    @cached_property
    def _all_steps(self) -> dict[str, list[tuple[float, float | None]]]:
        return {name: self._steps(name) for name in self.searches}

    def steps(self, name: str) -> list[tuple[float, float | None]]:
        """After each of a search's epochs: device-seconds spent, and the best by then."""
        return self._all_steps[name]

    def _steps(self, name: str) -> list[tuple[float, float | None]]:
        own = self.of_search(name).set_index("trial_id")
        rows = self.epochs[self.epochs.trial_id.isin(own.index)].sort_values("sequence")
        counts = rows.groupby("trial_id").size()
        able = set(self.can_win(name).trial_id)
        spent, best, found = 0.0, None, []
        for trial, value in zip(rows.trial_id, rows.validation_accuracy, strict=True):
            seconds = own.device_seconds[trial]
            spent += 0 if pd.isna(seconds) else seconds / counts[trial]
            if trial in able and not pd.isna(value):
                best = value if best is None else max(best, value)
            found.append((spent, best))
        return found

    def best_within(self, name: str, seconds: float) -> float | None:
        """The best of a search within so many device-seconds."""
        own = [best for spent, best in self.steps(name) if spent <= seconds * (1 + 1e-9)]
        return own[-1] if own else None

    def rises(self, name: str) -> list[tuple[float, float]]:
        """Where the best of a search rose, and the end of the search."""
        known = [(at, best) for at, best in self.steps(name) if best is not None]
        rose = [b for a, b in zip([(0, None), *known], known, strict=False) if a[1] != b[1]]
        return [*rose, known[-1]] if known else []

    def rank_correlation(self, name: str, earlier: int, later: int) -> tuple[int, float | None]:
        """Trials that reached both epochs, and Spearman's rho of their accuracies there."""
        last = self.settings["epochs"]
        own = self.rungs[self.rungs.search == name]
        at = {rung: rows.set_index("trial_id").value for rung, rows in own.groupby("rung")}
        ended = self.epochs[(self.epochs.search == name) & (self.epochs.epoch == last)]
        at[last] = ended.set_index("trial_id").validation_accuracy
        both = pd.concat([at[earlier], at[later]], axis=1, join="inner")
        if len(both) < 3 or both.nunique().min() < 2:
            return len(both), None
        return len(both), float(spearmanr(both).statistic)

    def rung_pairs(self, name: str) -> list[tuple[int, int]]:
        """Each two of a search's rungs and the last epoch."""
        own = self.rungs[self.rungs.search == name]
        return list(combinations(sorted({*own.rung, self.settings["epochs"]}), 2))

    def saved(self, name: str) -> tuple[int, int, float]:
        """Epochs a search ran and saved, and its device-seconds per epoch."""
        own = self.of_search(name)
        stopped, run = own[own.status == "stopped"], own[own.epochs_run > 0]
        saved = (self.settings["epochs"] - stopped.epochs_run).sum()
        each = run.device_seconds.sum() / max(1, run.epochs_run.sum())
        return int(run.epochs_run.sum()), int(saved), each

    @cached_property
    def stays(self) -> pd.DataFrame:
        """Every trial and final run: family, node, start and end."""
        seen = self.epochs.groupby("trial_id").reported_at.max()
        trials = self.trials.assign(
            start=self.trials.started_at,
            end=self.trials.ended_at.fillna(self.trials.trial_id.map(seen)),
            phase="search",
        )
        runs = self.final_epochs.sort_values("reported_at").groupby("trial_id")
        first, last = runs.first(), runs.last()
        node = sorted(set(trials.node.dropna()))
        finals = pd.DataFrame(
            {
                "trial_id": first.index,
                "family": first.family,
                "start": first.reported_at - pd.to_timedelta(first.epoch_seconds, unit="s"),
                "end": last.reported_at,
                "node": node[0] if len(node) == 1 else "finals",
                "phase": "finals",
            }
        )
        both = pd.concat([trials, finals])[[*finals.columns]].dropna(subset=["start", "end"])
        both["end"] = both[["start", "end"]].max(axis=1)
        return both.fillna({"node": "unknown node"}).sort_values(["start", "trial_id"])

    def finals_to_do(self) -> list[tuple[str, float, int, bool]]:
        """Family, share, epochs so far and whether it was tested of each final run; all roles."""
        found = []
        for fraction in self.settings["train_fractions"]:
            for family in self.families:
                chosen = self.study["choice"].get(self.search_behind(family, fraction))
                won = chosen is not None and chosen["baseline_won"]
                for role in (
                    [] if chosen is None else ["baseline"] if won else ["baseline", "tuned"]
                ):
                    for seed in range(self.settings["seeds"]):
                        key = (family, role, seed, fraction)
                        done, epochs = (
                            [*zip(t.family, t.role, t.seed, t.train_fraction, strict=True)].count(
                                key
                            )
                            for t in (self.final, self.final_epochs)
                        )
                        found.append((family, fraction, epochs, done > 0))
        return found

    def seconds_left(self) -> float:
        """Wall seconds from the last report to the end; before the choice of all finals."""
        cluster, epochs = self.study["cluster"], self.settings["epochs"]
        most = max(self.settings["train_fractions"])
        reports = pd.concat([self.epochs, self.final_epochs])
        heard = reports.groupby("trial_id").reported_at.max()
        now = (self.final_epochs if len(self.final_epochs) else self.epochs).reported_at.iloc[-1]
        rows = self.trials.assign(
            wall=self.trials.device_seconds
            / (cluster["gpus_per_trial"] or cluster["cpus_per_trial"]),
            took=self.trials.trial_id.map(self.epochs.groupby("trial_id").epoch_seconds.sum()),
            whole=self.trials.epochs_run * self.trials.train_fraction / most,
        )
        began = rows[rows.epochs_run > 0]
        each = (began.took / began.whole).groupby(began.family).mean()
        over = rows[rows.status != "running"]
        beside = (over.wall - over.took).groupby(over.family).mean().clip(lower=0)
        waits = (over.ended_at - over.started_at).dt.total_seconds() - over.wall
        start = beside + max(0.0, waits[over.attempts == 1].median())

        def rest(family: str, trial_id: str, left: float, share: float) -> float:
            """What is left of a training that has been heard of, or of a whole one."""
            epoch = share * each[family]
            if trial_id not in heard.index:
                return start[family] + left * epoch
            passed = (now - heard[trial_id]).total_seconds()
            return left * epoch - min(max(0.0, passed), min(1.0, left) * epoch)

        def usual(family: str, done: int) -> float:
            searched = over[over.role != "baseline"]
            own = searched[searched.family == family]
            lengths = (own if len(own) else searched).epochs_run
            further = lengths[lengths > done]
            return further.mean() if len(further) else epochs

        phases: list[list[float]] = [[], []]
        for name, (family, fraction) in self.searches.items():
            share, own = fraction / most, rows[rows.search == name]
            for row in own[own.status == "running"].itertuples():
                end = epochs if row.role == "baseline" else usual(family, row.epochs_run)
                left = end - row.epochs_run
                phases[0].append(rest(family, row.trial_id, left, share))
            new = rest(family, "", usual(family, 0), share)
            phases[0] += [new] * (self.settings["trials"] - len(own))
        if "choice" in self.study:
            to_do = [run[:3] for run in self.finals_to_do() if not run[3]]
            assert all(done == 0 for *_, done in to_do)
        else:
            shares = self.settings["train_fractions"] * (2 * self.settings["seeds"])
            to_do = [(family, share, 0) for family in self.families for share in shares]
        for family, share, _ in to_do:
            phases[1].append(rest(family, "", epochs, share / most))
        at_a_time = cluster["max_concurrent"]
        return sum(max(sum(own) / at_a_time, max(own, default=0.0)) for own in phases)
