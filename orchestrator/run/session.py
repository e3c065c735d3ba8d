"""Runs a study from wherever its rows say it is: search, choice, finals, comparison, report."""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ray
from rich.console import Console

from orchestrator.analysis.confusion_examples import write_examples
from orchestrator.compare.__main__ import write_comparison
from orchestrator.config.searches import deciding, list_searches
from orchestrator.config.settings import BUDGETS
from orchestrator.forecast.remaining import seconds_left
from orchestrator.forecast.run_times import earlier_seconds
from orchestrator.plan.preflight import CheckedStudy
from orchestrator.report.__main__ import write_report
from orchestrator.results import manifest
from orchestrator.results import schema as results
from orchestrator.results.final_runs import final_runs
from orchestrator.results.lock import Hold
from orchestrator.results.manifest import Manifest
from orchestrator.run import finals, replay
from orchestrator.run.cluster import Reservation
from orchestrator.run.metrics import Sample, measure, measure_time_left
from orchestrator.run.metrics_publisher import Publisher
from orchestrator.run.phase import Phase, run
from orchestrator.run.progress import ProgressTable, shown
from orchestrator.run.replay import StoredStudy
from orchestrator.run.signals import Interruption
from orchestrator.search.asha import FamilyRungs
from orchestrator.search.budget import Budget, Images
from orchestrator.search.family_searcher import FamilySearch, ListedTrials, TrialQueue
from orchestrator.search.scheduler import FamilyASHA, RecordingScheduler
from orchestrator.stats.predictions import split_runs
from orchestrator.trials.family_totals import RUNNING
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import TableWriter
from trainables.shared_data import SharedData
from trainables.trial import References
from trainables.weights import loading as weights

if TYPE_CHECKING:
    from trainables.data.dataset import LabeledImages


@dataclass(frozen=True, kw_only=True)
class RestoredSearch:
    """The parts of the search, brought to where its rows say it was."""

    recorder: Recorder
    scheduler: FamilyASHA
    searcher: FamilySearch


class Study:
    """A running study: what its steps share."""

    def __init__(
        self,
        checked: CheckedStudy,
        *,
        reservation: Reservation,
        console: Console,
        study_json: Manifest,
        stored: StoredStudy,
        interruption: Interruption,
        hold: Hold,
    ) -> None:
        """Takes what was checked, what trials reserve, where to print and to note, and its rows."""
        self._name, self._folder, self._settings = checked.name, checked.folder, checked.settings
        self._plans, self._inputs = checked.plans, checked.inputs
        self._searches = list_searches(
            [plan.name for plan in self._plans],
            self._settings.train_fractions,
            per_fraction=self._settings.tune_per_fraction,
        )
        self._reservation, self._console, self._manifest = reservation, console, study_json
        self._stored, self._interruption, self._hold = stored, interruption, hold
        self._events = list(stored.events)
        self._choice: dict[str, dict[str, Any]] = {}
        self._closed_before = _closed_before(checked)
        self._test: LabeledImages | None = None
        self._writer = TableWriter(
            self._folder,
            results.schemas(plan.full_space for plan in self._plans),
            manifest.table_metadata(study_json.content),
            hold.check,
        )

    def run(self, weights_file: weights.WeightsFile | None) -> bool | None:
        """Search, choice, finals, comparison; see `run_study`."""
        try:
            done = self._run(weights_file)
        except BaseException as error:
            self._hold.check()  # a driver that lost the study says so, and notes nothing in it
            if self._manifest.content["outcome"] == "running":  # not where only printing failed
                interrupted = isinstance(error, KeyboardInterrupt)
                self._manifest.end("interrupted" if interrupted else "failed")
            raise
        if done is None:
            self._manifest.end("interrupted")
        return done

    def _run(self, weights_file: weights.WeightsFile | None) -> bool | None:
        results.remove_leftovers(self._folder)
        shared = self._put(self._shared(weights_file))
        self._console.print(f"Study {self._name} writes to {self._folder}")
        search = self._restored_search()
        with self._writer.running():
            if not self._search(search, References(shared=shared, test=None)):
                return None
            self._choose(search)
            tested = self._finals(shared, search)
            if tested is None:
                return None
        shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)
        done = tested and not search.searcher.halted
        write_comparison(self._folder, self._console)
        self._manifest.end("completed" if done else "incomplete")
        self._console.print(f"Results: {self._folder}")
        sound = self._verified()
        self._report()
        return done and sound

    def _verified(self) -> bool:
        """Whether the study, as it lies on disk, is what it must be."""
        from orchestrator.verify.runner import verify

        verdict = verify(self._folder, sources=False)
        for problem in verdict.problems:
            self._console.print(f"WRONG, {problem.check}: {problem.sentence}", style="bold")
        if not verdict.problems:
            self._console.print(f"Verified: {verdict.checks} checks, nothing wrong")
        return not verdict.problems

    def _keep_examples(self) -> None:
        """Keeps test images of the worst confusions, if the test part was decoded in this run."""
        if self._test is not None:
            runs = split_runs(results.read_table(self._folder, "predictions"))
            write_examples(self._folder, runs, self._test.images)

    def _report(self) -> None:
        """Writes the page that people look at; the study is done, whatever becomes of it."""
        try:
            self._keep_examples()
            (path,) = write_report(self._folder)
        except (ValueError, OSError) as error:
            reason = " ".join(str(error).split())
            self._console.print(f"The report could not be written: {reason}", style="bold")
            return
        self._console.print(f"Report: {path}", soft_wrap=True)

    def _put(self, value: Any) -> "ray.ObjectRef[Any]":
        """Shares a value with all trials."""
        return ray.put(value)

    def _run_phase(self, phase: Phase) -> None:
        """Runs the trials of a phase."""
        run(phase)

    def _shared(self, weights_file: weights.WeightsFile | None) -> SharedData:
        return SharedData(
            training=self._inputs.training,
            train=self._inputs.train,
            validation=self._inputs.split.validation,
            classes=self._inputs.dataset.classes,
            weights=None if weights_file is None else weights.read(weights_file),
        )

    def _restored_search(self) -> RestoredSearch:
        """The search with all that its rows say; a new study's has none."""
        settings, recorder = self._settings, self._recorder("epochs")
        rungs = FamilyRungs(
            [search.name for search in self._searches],
            epochs=settings.epochs,
            grace_period=settings.grace_period,
            reduction_factor=settings.reduction_factor,
        )
        scheduler = FamilyASHA(recorder, rungs)
        budget = Budget(
            settings,
            recorder,
            self._searches,
            images=Images(
                train={fraction: len(images) for fraction, images in self._inputs.train.items()},
                validation=len(self._inputs.split.validation),
            ),
            at_a_time=self._reservation.max_concurrent,
            spent_seconds=earlier_seconds(
                self._manifest.content["runs"],
                [row["reported_at"] for row in (*self._stored.epochs, *self._stored.final_epochs)],
            ),
            closed={name: why["setting"] for name, why in self._closed_before.items()},
        )
        searcher = FamilySearch(
            recorder,
            self._plans,
            self._searches,
            trials=settings.trials,
            seed=settings.seed,
            epochs=settings.epochs,
            max_attempts=settings.max_attempts,
            first_cut=scheduler.first_cut,
            by_device_time=self._reservation.max_concurrent > 1,
            refuses=budget.refuses,
            after_out_of_memory=self._reservation.after_out_of_memory,
        )
        replay.replay_warm_start(self._folder, rungs, searcher)
        replay.replay_search(self._stored, recorder, scheduler, searcher)
        for kind, detail in self._stored.changes:
            recorder.event(kind, detail)
            self._console.print(f"{kind.replace('_', ' ').capitalize()}: {detail}")
        recorder.publish(search=True)
        return RestoredSearch(recorder=recorder, scheduler=scheduler, searcher=searcher)

    def _search(self, search: RestoredSearch, references: References) -> bool:
        """All trials of the search; False if the user interrupted it."""
        table = ProgressTable(
            "Search",
            search.recorder,
            [plan.name for plan in self._plans],
            trials=self._settings.trials * len(self._searches) // len(self._plans),
            epochs=self._settings.epochs,
        )
        if search.searcher.has_work():
            content, recorder = self._manifest.content, search.recorder

            def time_left() -> float | None:
                return seconds_left(content, recorder.trial_rows(), None, search.searcher.halted)

            with shown(self._console, table), self._published("search", recorder, time_left):
                self._run_phase(
                    self._phase(
                        "search", search.searcher, search.scheduler, search.recorder, references
                    )
                )
        return self._ended(search.recorder)

    def _choose(self, search: RestoredSearch) -> None:
        """Writes the choice down before the test part is decoded.

        An opening belongs to a choice: the same one, made again after a crash, is the same opening.
        """
        self._choice = finals.choose(search.recorder, self._searches)
        choice_digest = finals.digest(self._choice, self._manifest.content["settings"])
        halted, closed = search.searcher.halted, search.searcher.closed()
        for name, why in closed.items():
            self._close(search.recorder, name, **why)
        self._manifest.add(
            choice=self._choice, choice_sha256=choice_digest, halted=halted, closed=closed
        )
        if self._choice:
            opened = {row["detail"] for row in self._events if row["kind"] == finals.TEST_OPENED}
            if choice_digest not in opened:
                search.recorder.event(finals.TEST_OPENED, choice_digest)
                self._writer.write()
            self._manifest.add(test_openings=len(opened | {choice_digest}))
        for family, message in halted.items():
            self._console.print(f"{family} was given up: {message}", style="bold")

    def _close(self, recorder: Recorder, name: str, *, trials: int, setting: str) -> None:
        """Says that a budget ended a search."""
        detail = (
            f"{name} ended after {trials} of {self._settings.trials} trials: another would not "
            f"have left enough of {setting} for the finals"
        )
        (family,) = (search.family for search in self._searches if search.name == name)
        if name not in self._closed_before:
            recorder.event("budget_reached", detail, family=family)
        self._console.print(f"{detail}.")

    def _finals(self, shared: "ray.ObjectRef[Any]", search: RestoredSearch) -> bool | None:
        """Re-trains and tests; whether every family and role has its rows, None if interrupted."""
        specs = finals.final_specs(self._choice, self._plans, self._searches, self._settings)
        recorder = self._recorder("final_epochs")
        left = replay.replay_finals(self._stored, specs, recorder, self._folder)
        self._writer.add("final", lambda: self._final_rows(recorder))
        self._writer.add("predictions", lambda: self._predictions(recorder))
        recorder.publish(search=False)
        self._writer.write()
        tested = {spec.family for spec in specs}
        families = [plan.name for plan in self._plans if plan.name in tested]
        table = ProgressTable(
            "Finals: re-training, then the test set",
            recorder,
            families,
            trials=len(specs) // max(1, len(families)),
            epochs=self._settings.epochs,
        )
        if left:  # the test part stays closed where nothing is to be tested
            self._test = self._inputs.dataset.read_test()
            references = References(shared=shared, test=self._put(self._test))
            searcher = ListedTrials(
                recorder,
                left,
                epochs=self._settings.epochs,
                max_attempts=self._settings.max_attempts,
                after_out_of_memory=self._reservation.after_out_of_memory,
            )
            content, trials = self._manifest.content, search.recorder.trial_rows()

            def time_left() -> float | None:
                runs = final_runs(content, recorder.epoch_rows(), self._final_rows(recorder))
                return seconds_left(content, trials, runs, search.searcher.halted)

            with shown(self._console, table), self._published("finals", recorder, time_left):
                scheduler = RecordingScheduler(recorder)
                self._run_phase(self._phase("finals", searcher, scheduler, recorder, references))
        if not self._ended(recorder):
            return None
        finals.keep_winners(self._folder, self._final_rows(recorder), self._inputs.dataset.classes)
        completed = all(record.status == "completed" for record in recorder.trials.values())
        return completed and len(self._choice) == len(self._searches)

    def _published(
        self, phase: str, recorder: Recorder, time_left: Callable[[], float | None]
    ) -> contextlib.AbstractContextManager[None]:
        """Has a phase's numbers published through Ray while it runs."""
        families, where = [plan.name for plan in self._plans], {"study": self._name, "phase": phase}

        def samples() -> Iterator[Sample]:
            yield from measure(recorder, families, **where)
            yield from measure_time_left(time_left(), **where)

        return Publisher(samples).running()

    def _final_rows(self, recorder: Recorder) -> list[dict[str, Any]]:
        """The rows of `final.parquet` of the runs that are completed."""
        rows = []
        for record in list(recorder.trials.values()):
            if record.status == "completed":
                spec = record.spec
                search = deciding(self._searches, spec.family, spec.train_fraction)
                both = self._choice[search.name]["baseline_won"]
                rows += finals.final_rows(
                    record,
                    study=self._name,
                    device=self._reservation.device,
                    device_seconds=recorder.device_seconds(record),
                    train_images=len(self._inputs.train[record.spec.train_fraction]),
                    validation_images=len(self._inputs.split.validation),
                    roles=("baseline", "tuned") if both else (record.spec.role,),
                )
        return sorted(rows, key=lambda r: (r["train_fraction"], r["family"], r["role"], r["seed"]))

    def _predictions(self, recorder: Recorder) -> Callable[[], Any]:
        """What makes `predictions.parquet` of the runs completed now; it reads files."""
        rows = self._final_rows(recorder)
        return lambda: finals.predictions(self._folder, rows)

    def _recorder(self, epochs_table: str) -> Recorder:
        return Recorder(
            study=self._name,
            folder=self._folder,
            writer=self._writer,
            devices_per_trial=self._reservation.devices,
            device=self._reservation.device,
            epochs_table=epochs_table,
            events=self._events,
        )

    def _phase(
        self,
        name: str,
        searcher: TrialQueue,
        scheduler: RecordingScheduler,
        recorder: Recorder,
        references: References,
    ) -> Phase:
        return Phase(
            name=name,
            searcher=searcher,
            scheduler=scheduler,
            recorder=recorder,
            references=references,
            epochs=self._settings.epochs,
            epoch_time_limit=self._settings.epoch_time_limit,
            folder=self._folder,
            reservation=self._reservation,
            interruption=self._interruption,
        )

    def _ended(self, recorder: Recorder) -> bool:
        """Whether a phase ran to its end, which Tune does not on an interruption.

        Raises:
            RuntimeError: Tune came back too early without having been asked to.
        """
        if self._interruption:
            return False
        running = [name for name, r in recorder.trials.items() if r.status == RUNNING]
        if running:
            message = f"all trials must have ended, but Tune left {', '.join(running)}"
            raise RuntimeError(message)
        return True


def _closed_before(checked: CheckedStudy) -> dict[str, Any]:
    """Searches that a budget ended in an earlier run, and which it has not been raised for."""
    if checked.resumed is None:
        return {}
    before = checked.resumed.study
    same = all(before["settings"].get(n) == getattr(checked.settings, n) for n in BUDGETS)
    return dict(before.get("closed") or {}) if same else {}
