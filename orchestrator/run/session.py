"""Open study: the state that its steps share, and the executor that runs its trials."""

import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import Any, Final

import ray
from rich.console import Console

from orchestrator.config.searches import searches_of
from orchestrator.forecast.remaining import TimeLeft
from orchestrator.plan.preflight import CheckedStudy
from orchestrator.results import files, manifest, schema
from orchestrator.results.going_on import resume_command
from orchestrator.results.lock import Hold
from orchestrator.results.states import Outcome, State
from orchestrator.run.cluster import passed_on
from orchestrator.run.infrastructure import InfrastructureError
from orchestrator.run.kept_processes import KeptProcesses
from orchestrator.run.metrics import Publisher, Sample, measure
from orchestrator.run.nodes import Waiting
from orchestrator.run.phase import Phase, run
from orchestrator.run.progress import ProgressTable, Remaining, shown
from orchestrator.run.replay import StoredStudy
from orchestrator.run.reservation import Cluster, Reservation
from orchestrator.run.signals import Interruption
from orchestrator.search.early_finals import SearchAndFinals
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.search.trial_queue import TrialQueue
from orchestrator.trials.device_types import DeviceTypes
from orchestrator.trials.recorder import Recorder, event_row
from orchestrator.trials.table_writer import TableWriter
from trainables import node_check
from trainables.shared_data import SharedData, for_other_hosts
from trainables.trial import References
from trainables.weights.chosen import ChosenWeights
from trainables.weights.loading import Weights

RESERVE: Final = ".reserve"
RESERVE_BYTES: Final = 1 << 18


class RayExecutor:
    """Runs trials with Ray Tune; what takes its place in tests steps them in their process."""

    def __init__(self, cluster: Cluster) -> None:
        """Takes the cluster, whose nodes may come and go where it can grow."""
        self._kept = KeptProcesses(keeps=not cluster.most_grown)
        self._one_host = len(cluster.present) == 1 and not cluster.most_grown

    def put(self, value: Any) -> Any:
        """Puts a value into the object store; images in files by their paths, on one machine."""
        return ray.put(value if self._one_host else for_other_hosts(value))

    def run(self, phase: Phase, samples: Callable[[], Iterable[Sample]]) -> None:
        """Runs the trials of a phase, and publishes metrics through Ray's meanwhile.

        It returns once all trials have ended or the study is interrupted.
        """
        with Publisher(samples).running():
            run(phase, self._kept)


@dataclass
class Session:
    """An open study: the state that its steps share.

    Attributes:
        checked: What of it was checked.
        executor: Where trials run.
        reservation: What they reserve.
        stored: The rows that earlier runs left.
    """

    checked: InitVar[CheckedStudy]
    _: KW_ONLY
    executor: RayExecutor
    reservation: Reservation
    console: Console
    study_json: InitVar[manifest.Manifest]
    stored: StoredStudy
    interruption: Interruption
    hold: Hold
    weights: ChosenWeights | None

    def __post_init__(self, checked: CheckedStudy, study_json: manifest.Manifest) -> None:
        self.name, self.folder, self.settings = checked.name, checked.folder, checked.settings
        self.plans, self.inputs, self.resumed = checked.plans, checked.inputs, checked.resumed
        self.searches = searches_of([plan.name for plan in self.plans], self.settings)
        self.manifest = study_json
        self.events, self.completed = list(self.stored.events), False
        self._types = DeviceTypes(
            study_json.study.device_types, lambda types: study_json.add(device_types=dict(types))
        )
        self.writer = TableWriter(
            self.folder,
            schema.schemas(plan.full_space for plan in self.plans),
            manifest.table_metadata(study_json.study),
            self.hold.check,
        )

    @contextlib.contextmanager
    def noting_outcome(self) -> Iterator[None]:
        """Records an early end of the study inside, even where the disk is full by then."""
        reserve = self.folder / RESERVE
        try:
            reserve.write_bytes(os.urandom(RESERVE_BYTES))
            yield
        except BaseException as error:
            self.hold.check()  # a driver that lost the study says so, and notes nothing in it
            with contextlib.suppress(OSError):  # else what ends the study would not be said
                reserve.unlink(missing_ok=True)
                # Not where only printing failed.
                if self.manifest.study.outcome == Outcome.RUNNING:
                    interrupted = isinstance(error, KeyboardInterrupt)
                    self.manifest.end(Outcome.INTERRUPTED if interrupted else Outcome.FAILED)
            raise
        finally:
            with contextlib.suppress(OSError):
                reserve.unlink(missing_ok=True)

    def note_lost_cluster(self, why: str) -> None:
        """Writes all rows, and that the study was interrupted; called from another thread."""
        self.hold.check()
        self.note("cluster_lost", why)
        self.writer.write()
        self.manifest.end(Outcome.INTERRUPTED)

    def say(self, line: str) -> None:
        """Prints a line, however long it is."""
        self.console.print(line, soft_wrap=True)

    def note(self, kind: str, detail: str) -> None:
        """Adds an event of the study's own; safe from any thread. See `TableWriter.changed`.

        Raises:
            WritingError: See `TableWriter.changed`.
        """
        with self.writer.lock:
            self.events.append(event_row(self.name, kind, detail))
        self.writer.changed("events")

    def share_data(self) -> Any:
        """Shares the data that all trials train on, by the executor.

        Raises:
            InfrastructureError: The weights are not what they were a moment ago.
        """
        files.remove_leftovers(self.folder)
        for name in self.stored.damaged:  # it is written anew; perhaps something can be saved of it
            files.keep_aside(self.folder / f"{name}.parquet")
        return self.executor.put(
            SharedData(
                training=self.inputs.training,
                train=self.inputs.train,
                validation=self.inputs.split.validation,
                classes=self.inputs.dataset.classes,
                weights=self._read_weights(),
                environment=passed_on(),
            )
        )

    def _read_weights(self) -> Mapping[str, Weights]:
        if self.weights is None:
            return {}
        try:
            return self.weights.read()
        except (ValueError, OSError) as error:
            raise InfrastructureError(
                f"weights must be as they were when this run began, but {error}; restore them and "
                f"go on: {resume_command(self.folder)}"
            ) from error

    def remove_checkpoints(self) -> None:
        """Removes all checkpoints: a study that has its predictions needs none."""
        shutil.rmtree(self.folder / "checkpoints", ignore_errors=True)

    def end(self, *, complete: bool) -> None:
        """Records how the study ended, and prints where it is."""
        self.completed = complete
        self.manifest.end(Outcome.COMPLETED if complete else Outcome.INCOMPLETE)
        self.say(f"Results: {self.folder}")

    def recorder(self, epochs_table: str) -> Recorder:
        """Makes the recorder of a phase."""
        return Recorder(
            study=self.name,
            folder=self.folder,
            writer=self.writer,
            devices_per_trial=self.reservation.devices,
            device=self.reservation.device,
            epochs_table=epochs_table,
            events=self.events,
            types=self._types,
        )

    def queue_options(self) -> dict[str, Any]:
        """Options that every `TrialQueue` takes."""
        return {
            "epochs": self.settings.epochs,
            "max_attempts": self.settings.max_attempts,
            "after_out_of_memory": self.reservation.after_out_of_memory,
        }

    def run_phase(
        self,
        name: str,
        searcher: TrialQueue | SearchAndFinals,
        scheduler: RecordingScheduler,
        recorder: Recorder,
        references: References,
        *,
        title: str,
        planned: Mapping[str, int],
        forecast: Callable[[], TimeLeft | None],
        begun: Callable[[], int] = int,
    ) -> None:
        """Runs the trials of a phase; shows its progress and publishes its numbers meanwhile.

        See `Phase`, and `ProgressTable` for `title`, `planned` and `begun`; `forecast` tells what
        the study still takes.
        """
        settings, reservation = self.settings, self.reservation
        time_left, families = Remaining(forecast).seconds, [plan.name for plan in self.plans]
        samples = functools.partial(
            measure, recorder, families, time_left, study=self.name, phase=name
        )
        phase = Phase(
            name=name,
            searcher=searcher,
            scheduler=scheduler,
            recorder=recorder,
            references=references,
            config={
                "epoch_time_limit": settings.epoch_time_limit,
                "checkpoint_seconds": settings.checkpoint_seconds,
                "rungs": list(self.manifest.study.rungs) if name == "search" else [],
                "folder": str(self.folder),
                "device": reservation.device,
                "threads": reservation.cpus,
                "precision": settings.precision_on(reservation.device),
                "reproducible": settings.reproducible,
                "objective": settings.objective,
                "resources": reservation.bundle,
                "mix_devices": settings.mix_devices,
                "software": node_check.software(),
            },
            folder=self.folder,
            reservation=reservation,
            interruption=self.interruption,
            waiting=Waiting(reservation, settings, self.console.print),
        )
        with shown(self.console, ProgressTable(title, recorder, planned, time_left, begun)):
            self.executor.run(phase, samples)

    def must_have_ended(self, recorder: Recorder) -> None:
        """Checks that a phase ran to its end.

        Raises:
            KeyboardInterrupt: The user interrupted it.
            RuntimeError: Tune came back too early without having been asked to.
        """
        if self.interruption:
            raise KeyboardInterrupt
        running = [name for name, r in recorder.trials.items() if r.status == State.RUNNING]
        if running:
            raise RuntimeError(f"all trials must have ended, but Tune left {', '.join(running)}")
