"""Searcher of all families: pending attempts first, then the family with the least device time."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from orchestrator.config.searches import Search, trial_order
from orchestrator.plan.families import FamilyPlan
from orchestrator.results.states import State
from orchestrator.search.optuna_states import optuna_state
from orchestrator.search.samplers import MakeSampler
from orchestrator.search.shown_trials import shortened
from orchestrator.search.trial_queue import BELOW_CUTOFF, TrialQueue
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.trial import BASELINE_ROLE, TrialRecord, TrialSpec
from search_spaces.baseline import Params
from trainables.training.seeding import derive_seed


class FamilySearch(TrialQueue):
    """Searcher with one Optuna study per search; the family with the least device time proposes."""

    def __init__(
        self,
        recorder: Recorder,
        plans: Sequence[FamilyPlan],
        searches: Sequence[Search],
        *,
        trials: int,
        seed: int,
        first_cut: Callable[[str], int | None],
        by_device_time: bool,
        sampler: MakeSampler,
        blocked_by: Callable[[Search], str | None] = lambda _: None,
        **options: Any,
    ) -> None:
        """Makes one Optuna study for each search.

        Args:
            recorder: Of the search.
            plans: The families.
            searches: Theirs, those of a family in the order in which they begin.
            trials: Per search, the baseline included.
            seed: The study's.
            first_cut: The epoch at which ASHA would have stopped a baseline, by trial id.
            by_device_time: Balance the families by measured device time; otherwise by trials
                started, which does not depend on clocks.
            sampler: Makes one for each trial.
            blocked_by: The setting of a budget that keeps a search from proposing now, if any.
            options: Of a `TrialQueue`.
        """
        super().__init__(recorder, **options)
        self._plans = {plan.name: plan for plan in plans}
        self._searches = {search.name: search for search in searches}
        self._trials, self._seed = trials, seed
        self._first_cut, self._by_device_time = first_cut, by_device_time
        self._make_sampler, self._blocked_by = sampler, blocked_by
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.studies = {
            name: optuna.create_study(study_name=name, direction="maximize")
            for name in self._searches
        }
        self._asked: dict[str, optuna.Trial] = {}
        self._numbers: Counter[str] = Counter()
        self._drawn: Counter[str] = Counter()  # numbers that another study's trials have used

    def propose(self) -> TrialSpec | None:
        """A new trial of the search whose turn it is: its baseline first, then what Optuna asks."""
        open_searches = filter(self._may_propose, self._searches.values())
        search = min(open_searches, key=self._turn, default=None)
        if search is None:
            return None
        # A killed driver may have left a gap.
        while f"{search.name}-{self._numbers[search.name]:03d}" in self._recorder.trials:
            self._numbers[search.name] += 1
        number = self._numbers[search.name]
        trial_id = f"{search.name}-{number:03d}"
        return TrialSpec(
            trial_id=trial_id,
            family=search.family,
            role="search" if number else BASELINE_ROLE,
            params=self._ask(search, trial_id, number),
            seed=derive_seed(self._seed, search.name, number),
            train_fraction=search.train_fraction,
        )

    def has_work(self) -> bool:
        """Whether an attempt is pending or a new trial may be proposed."""
        return self.has_pending() or any(map(self._may_propose, self._searches.values()))

    def ended_early(self) -> dict[str, dict[str, Any]]:
        """Searches ended before all their trials: the number of `trials` and the `setting` why."""
        return {
            name: {"trials": self._started(search), "setting": setting}
            for name, search in self._searches.items()
            if self._is_open(search) and (setting := self._blocked_by(search)) is not None
        }

    def resume(self, record: TrialRecord) -> None:
        """Restores an earlier run's trial in Optuna; one that has not ended gets another attempt.

        The rungs must have been replayed: Optuna learns of a baseline what ASHA says of it.
        """
        spec, plan = record.spec, self._plans[record.spec.family]
        known = spec.role != BASELINE_ROLE or not plan.baseline_outside
        if record.status != State.RUNNING:
            if known:
                self.learn(record, self._cut(record))
            return
        if known:
            self._asked[spec.trial_id] = self._add_running(spec.search, spec.params, plan.space)
        if record.stopping:
            self._end(record, State.STOPPED, BELOW_CUTOFF)
        elif len(record.rows) >= self._epochs:
            self._end(record, State.COMPLETED)
        else:
            self.add_pending(record)

    def ended(self, record: TrialRecord) -> None:
        """Tells Optuna how a trial ended: COMPLETE, PRUNED with or without values, or FAIL."""
        trial = self._asked.pop(record.spec.trial_id, None)
        if trial is not None:
            what = optuna_state(record.status, record.rows, self._cut(record))
            for epoch, best in what.best_so_far.items():
                trial.report(best, epoch)
            self.studies[record.spec.search].tell(trial, what.value, state=what.state)
            self._show_fewer(record.spec.search)

    def learn(self, record: TrialRecord, cut: int | None) -> None:
        """Adds an ended trial to Optuna that it did not propose in this process, in one step.

        Asking and telling would copy it twice; a pruned one has the value that `tell` gives it.

        Args:
            record: The trial, inside its family's space.
            cut: The epoch at which ASHA would have stopped it, were it no baseline.
        """
        what = optuna_state(record.status, record.rows, cut)
        values = [what.value] if what.value is not None else list(what.best_so_far.values())[-1:]
        self.studies[record.spec.search].add_trial(
            optuna.trial.create_trial(
                state=what.state,
                values=values or None,
                params=dict(record.spec.params),
                distributions=dict(self._plans[record.spec.family].space),
                intermediate_values=dict(what.best_so_far),
            )
        )
        self._show_fewer(record.spec.search)

    def learn_from_elsewhere(self, record: TrialRecord, cut: int | None) -> None:
        """Adds a trial of another study to Optuna, and does not propose its point again.

        While few trials are known TPE draws at random, by a seed that comes from a trial's number:
        a search with the same seed as the other's goes on where that one has ended.
        """
        number = trial_order(record.spec.trial_id)[1]
        self._drawn[record.spec.search] = max(self._drawn[record.spec.search], number + 1)
        self.learn(record, cut)

    def _cut(self, record: TrialRecord) -> int | None:
        """The epoch at which ASHA would have stopped a baseline."""
        spec = record.spec
        return self._first_cut(spec.trial_id) if spec.role == BASELINE_ROLE else None

    def _add_running(
        self, search: str, params: Params, space: Mapping[str, BaseDistribution]
    ) -> optuna.Trial:
        """A trial that a search's Optuna study did not propose, as one that runs."""
        study = self.studies[search]
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState.RUNNING, params=dict(params), distributions=dict(space)
            )
        )
        added = study.get_trials(deepcopy=False)[-1]  # add_trial returns nothing
        return optuna.trial.Trial(study, added._trial_id)

    def _show_fewer(self, search: str) -> None:
        """Has TPE forget most of a long search; what runs in it goes on."""
        short = shortened(self.studies[search])
        if short is None:
            return
        self.studies[search] = short
        for trial_id, trial in self._asked.items():
            if self._recorder.trials[trial_id].spec.search == search:
                self._asked[trial_id] = self._add_running(search, trial.params, trial.distributions)

    def _may_propose(self, search: Search) -> bool:
        return self._is_open(search) and self._blocked_by(search) is None

    def _is_open(self, search: Search) -> bool:
        below = self._started(search) < self._trials
        return below and search.family not in self.failed_families

    def _started(self, search: Search) -> int:
        return self._recorder.totals(search.family).started[search.name]

    def _turn(self, search: Search) -> tuple[float, int, int]:
        """What the search with the least of proposes next: its family's time, trials, its own."""
        totals = self._recorder.totals(search.family)
        seconds = totals.forecast_wall_seconds() if self._by_device_time else 0.0
        return seconds, len(totals.records), self._started(search)

    def _ask(self, search: Search, trial_id: str, number: int) -> dict[str, Any]:
        """Hyperparameters of a search's trial; the baseline's where the number is 0.

        The sampler is made anew: one seeded once would repeat its first points after a replay.
        """
        plan, study = self._plans[search.family], self.studies[search.name]
        if number == 0:
            if plan.baseline_outside:  # TPE takes a point outside its space for one inside
                return dict(plan.baseline)
            study.enqueue_trial(dict(plan.baseline))
        drawn = number + self._drawn[search.name]
        space, seed = dict(plan.space), derive_seed(self._seed, search.name, drawn, "sampler")
        study.sampler = self._make_sampler(seed, space)
        trial = study.ask(space)
        self._asked[trial_id] = trial
        return {name: trial.params[name] for name in plan.space}
