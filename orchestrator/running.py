"""Runs a study that has been checked, from the first trial to the comparison."""

import shutil
from typing import Any

import ray
from rich.console import Console

from orchestrator import finals, manifest, results
from orchestrator.cluster import Cluster, Reservation, connect, reserve
from orchestrator.compare import write_comparison
from orchestrator.manifest import Manifest
from orchestrator.preparation import DEMO_WEIGHTS, CheckedStudy
from orchestrator.progress import ProgressTable, shown
from orchestrator.recording import RUNNING, Recorder
from orchestrator.scheduling import FamilyASHA, RecordingScheduler
from orchestrator.search import FamilySearch, ListedTrials, TrialQueue
from orchestrator.tuning import Phase, run
from orchestrator.writing import TableWriter
from trainables import pretraining, weights
from trainables.sharing import SharedData
from trainables.trial import References


def run_study(checked: CheckedStudy, console: Console) -> bool | None:
    """Runs a study into its folder.

    Returns:
        Whether every family was compared; None if the user interrupted it.

    Raises:
        InfrastructureError: Ray cannot be had, or not what a trial asks for.
    """
    cluster = connect(checked.settings.address, console)
    try:
        reservation = reserve(checked.settings, cluster)
        console.print(_cluster_line(cluster, reservation))
        weights_file = checked.inputs.weights_file or _demo_weights(checked, console)
        checked.folder.mkdir(parents=True, exist_ok=True)
        content = manifest.describe(
            name=checked.name,
            settings=checked.settings,
            plans=checked.plans,
            inputs=checked.inputs,
            weights_file=weights_file,
            cluster=cluster,
            reservation=reservation,
        )
        study = Study(checked, reservation, console, Manifest(checked.folder, content))
        return study.run(weights_file)
    finally:
        ray.shutdown()


class Study:
    """A running study: what its steps share."""

    def __init__(
        self,
        checked: CheckedStudy,
        reservation: Reservation,
        console: Console,
        study_json: Manifest,
    ) -> None:
        """Takes what was checked, what trials reserve, and where to print and to note."""
        self._name, self._folder, self._settings = checked.name, checked.folder, checked.settings
        self._plans, self._inputs = checked.plans, checked.inputs
        self._reservation, self._console, self._manifest = reservation, console, study_json
        self._events: list[dict[str, Any]] = []
        self._choice: dict[str, dict[str, Any]] = {}
        self._writer = TableWriter(
            self._folder,
            results.schemas(plan.full_space for plan in self._plans),
            manifest.table_metadata(self._name),
        )

    def run(self, weights_file: weights.WeightsFile | None) -> bool | None:
        """Search, choice, finals, comparison; see `run_study`."""
        try:
            return self._run(weights_file)
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            self._end("interrupted" if interrupted else "failed", None)
            raise

    def _run(self, weights_file: weights.WeightsFile | None) -> bool | None:
        shared = ray.put(self._shared(weights_file))
        self._console.print(f"Study {self._name} writes to {self._folder}")
        with self._writer.running():
            complete = self._search(References(shared=shared, test=None))
            if complete is None:
                return self._end("interrupted", None)
            # The test part stays closed where no family has anything to test.
            test = ray.put(self._inputs.dataset.read_test()) if self._choice else None
            tested = self._finals(References(shared=shared, test=test))
            if tested is None:
                return self._end("interrupted", None)
        shutil.rmtree(self._folder / "checkpoints", ignore_errors=True)
        write_comparison(self._folder, self._console)
        self._console.print(f"Results: {self._folder}")
        done = complete and tested
        return self._end("completed" if done else "incomplete", done)

    def _shared(self, weights_file: weights.WeightsFile | None) -> SharedData:
        return SharedData(
            training=self._inputs.training,
            train=self._inputs.train,
            validation=self._inputs.split.validation,
            classes=self._inputs.dataset.classes,
            weights=None if weights_file is None else weights.read(weights_file),
        )

    def _search(self, references: References) -> bool | None:
        """All trials of the search, and the choice on disk; whether no family was given up."""
        settings = self._settings
        recorder = self._recorder("epochs")
        recorder.write_search_tables()
        self._writer.write()
        asha = FamilyASHA(
            recorder,
            [plan.name for plan in self._plans],
            epochs=settings.epochs,
            grace_period=settings.grace_period,
            reduction_factor=settings.reduction_factor,
        )
        searcher = FamilySearch(
            recorder,
            self._plans,
            trials=settings.trials,
            seed=settings.seed,
            epochs=settings.epochs,
            max_attempts=settings.max_attempts,
            train_fraction=max(settings.train_fractions),
            first_cut=asha.first_cut,
            by_device_time=self._reservation.max_concurrent > 1,
        )
        table = ProgressTable(
            "Search",
            recorder,
            [plan.name for plan in self._plans],
            trials=settings.trials,
            epochs=settings.epochs,
        )
        with shown(self._console, table):
            run(self._phase("search", searcher, asha, recorder, references))
        if _unfinished(recorder):
            return None
        self._choose(recorder, searcher.halted)
        return not searcher.halted

    def _choose(self, recorder: Recorder, halted: dict[str, str]) -> None:
        """Writes the choice down before the test part is decoded."""
        self._choice = finals.choose(recorder, self._plans)
        choice_digest = finals.digest(self._choice, self._manifest.content["settings"])
        self._manifest.add(choice=self._choice, choice_sha256=choice_digest, halted=halted)
        if self._choice:
            recorder.event("test_opened", choice_digest)
            self._manifest.add(test_openings=1)
        for family, message in halted.items():
            self._console.print(f"{family} was given up: {message}", style="bold")

    def _finals(self, references: References) -> bool | None:
        """Re-trains and tests; whether every family and role has its rows."""
        specs = finals.final_specs(self._choice, self._plans, self._settings)
        recorder = self._recorder("final_epochs")
        self._writer.add("final", lambda: self._final_rows(recorder))
        self._writer.add(
            "predictions", lambda: finals.predictions(self._folder, self._final_rows(recorder))
        )
        self._writer.write()
        searcher = ListedTrials(
            recorder,
            specs,
            epochs=self._settings.epochs,
            max_attempts=self._settings.max_attempts,
        )
        families = [plan.name for plan in self._plans if plan.name in self._choice]
        table = ProgressTable(
            "Finals: re-training, then the test set",
            recorder,
            families,
            trials=len(specs) // max(1, len(families)),
            epochs=self._settings.epochs,
        )
        with shown(self._console, table):
            scheduler = RecordingScheduler(recorder)
            run(self._phase("finals", searcher, scheduler, recorder, references))
        if _unfinished(recorder):
            return None
        finals.keep_winners(self._folder, self._final_rows(recorder), self._inputs.dataset.classes)
        completed = all(record.status == "completed" for record in recorder.trials.values())
        return completed and len(families) == len(self._plans)

    def _final_rows(self, recorder: Recorder) -> list[dict[str, Any]]:
        """The rows of `final.parquet` of the runs that are completed."""
        rows = []
        for record in list(recorder.trials.values()):
            if record.status == "completed":
                both = self._choice[record.spec.family]["baseline_won"]
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
            folder=self._folder,
            reservation=self._reservation,
        )

    def _end(self, outcome: str, done: bool | None) -> bool | None:
        self._manifest.add(outcome=outcome, ended_at=manifest.now())
        return done


def _unfinished(recorder: Recorder) -> bool:
    """Whether Tune came back before all trials had ended, as it does on Ctrl-C."""
    return any(record.status == RUNNING for record in recorder.trials.values())


def _cluster_line(cluster: Cluster, reservation: Reservation) -> str:
    where = f"; dashboard http://{cluster.dashboard}" if cluster.dashboard else ""
    return (
        f"Ray: {cluster.kind}, {cluster.nodes} node(s), {cluster.cpus:g} CPUs, "
        f"{cluster.gpus:g} GPUs; {reservation.max_concurrent} trial(s) at a time on "
        f"{reservation.gpus or reservation.cpus:g} {'GPU' if reservation.gpus else 'CPU'}(s) each"
        f"{where}"
    )


def _demo_weights(checked: CheckedStudy, console: Console) -> weights.WeightsFile | None:
    """The demo's stand-in for ImageNet weights, made once and cached."""
    pretrained = any(plan.pretrained for plan in checked.plans)
    if checked.settings.weights != DEMO_WEIGHTS or not pretrained:
        return None
    path = pretraining.cached_weights_path()
    if not path.is_file():
        console.print("Pre-training the stand-in for ImageNet weights, about a minute, once ...")

        def pretrain() -> None:
            pretraining.pretrain_resnet50(path, seed=0, threads=1)

        ray.get(ray.remote(pretrain).remote())
    return weights.WeightsFile(name=path.name, path=path, sha256=weights.file_sha256(path))
