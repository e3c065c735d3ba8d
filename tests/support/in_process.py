"""A driver without Ray: the study's own code, its trials stepped in this process, killed on cue."""

import contextlib
import dataclasses
import functools
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from orchestrator import study
from orchestrator.config.sources import resolve
from orchestrator.plan import warm_start
from orchestrator.plan.preflight import CheckedStudy, check_new, check_resumed
from orchestrator.plan.resume import stored_settings
from orchestrator.results import files, manifest
from orchestrator.results.manifest import Manifest
from orchestrator.run import replay
from orchestrator.run.opening import describe, register
from orchestrator.run.phase import Phase
from orchestrator.run.reservation import Cluster, Reservation
from orchestrator.run.session import Session
from orchestrator.run.signals import Interruption
from orchestrator.trials import table_writer as writing
from trainables import registry
from trainables.attempt import Attempt
from trainables.attempt_config import AttemptConfig
from trainables.data.dataset import DataSet
from trainables.trial_error import described

CURVE = {"families": "curve", "dataset": "digits", "seed": 3}
NO_FAULTS = ("space.curve.fault=none",)


class Killed(BaseException):
    """The driver is gone: nothing it had in memory reaches the disk any more."""


@dataclass
class Moments:
    """When the driver is killed, and when its writer comes round.

    Attributes:
        kill_at: Number of the moment at which it is killed; None for never. Moments are proposals,
            reports, ends of attempts, and each file that is written.
        passed: Moments so far.
        dead: It was killed.
    """

    kill_at: int | None = None
    passed: int = 0
    dead: bool = False
    seen: list[str] = field(default_factory=list)

    def pass_one(self, what: str) -> None:
        if self.dead:
            raise Killed
        self.passed += 1
        self.seen.append(what)
        if self.passed == self.kill_at:
            self.dead = True
            raise Killed


class InProcessExecutor:
    """Steps trials one after another in this process."""

    def __init__(self, *, moments: Moments, slots: int, order: int, writes: float) -> None:
        self._moments, self._slots, self._writes = moments, slots, writes
        self._random = random.Random(order)
        self.writer: writing.TableWriter | None = None

    def put(self, value: Any) -> Any:
        return value

    def run(self, phase: Phase, samples: Any) -> None:
        self.samples = samples
        running: dict[str, tuple[SimpleNamespace, Attempt | None]] = {}
        ids = iter(range(10_000))
        finished = False
        while running or not finished:
            while len(running) < self._slots and not finished:
                tune_id = f"tune-{next(ids)}"
                config = phase.searcher.suggest(tune_id)
                if config is None:
                    break
                if config == "FINISHED":
                    finished = True
                    break
                trial = SimpleNamespace(trial_id=tune_id, config=config)
                running[tune_id] = (trial, None)
                self._moments.pass_one(f"propose {config['trial_id']}")
            if not running:
                break
            tune_id = self._random.choice(sorted(running))
            self._step(phase, running, tune_id)
            if self._random.random() < self._writes:  # the writer's thread comes round
                self.writer.write()

    def _step(self, phase: Phase, running: dict[str, Any], tune_id: str) -> None:
        trial, attempt = running[tune_id]
        try:
            if attempt is None:
                phase.searcher.attempt_began(trial.config["trial_id"])
                attempt = self._begin(phase, trial.config)
                running[tune_id] = (trial, attempt)
            result = {**attempt.step(), "node": "here"}
        except Exception as error:  # noqa: BLE001 (as a trial's process, which reports any error)
            path = phase.folder / f"{tune_id}.pickle"
            path.write_bytes(pickle.dumps(described(error)))
            trial.pickled_error_file = str(path)
            phase.scheduler.on_trial_error(None, trial)
            phase.searcher.on_trial_complete(tune_id, error=True)
            path.unlink()
            del running[tune_id]
            return
        self._moments.pass_one(f"report {trial.config['trial_id']} {result.get('epoch')}")
        if not result["done"] and phase.scheduler.on_trial_result(None, trial, result) != "STOP":
            return
        phase.scheduler.on_trial_complete(None, trial, result)  # as Tune does after a stop too
        phase.searcher.on_trial_complete(tune_id, result)
        del running[tune_id]
        self._moments.pass_one(f"end {trial.config['trial_id']}")

    def _begin(self, phase: Phase, config: dict[str, Any]) -> Attempt:
        known = {**phase.config, "device": "cpu", "threads": 1, **config}
        config = AttemptConfig(**{f.name: known[f.name] for f in fields(AttemptConfig)})
        return Attempt(config, phase.references.shared, phase.references.test)


@dataclass
class Driver:
    """Starts, kills and resumes studies in one folder; see `InProcessExecutor`.

    Attributes:
        slots: Trials at a time.
        writes: Chance that the tables are written after a report; they always are at the start and
            between the phases.
        console: Where the study prints to.
    """

    results_dir: Path
    monkeypatch: pytest.MonkeyPatch
    settings: dict[str, Any] = field(default_factory=dict)
    assignments: tuple[str, ...] = NO_FAULTS
    slots: int = 2
    name: str = "mine"
    writes: float = 0.3
    register: str | None = None
    console: Console = field(default_factory=lambda: Console(quiet=True))

    @property
    def folder(self) -> Path:
        return self.results_dir / self.name

    def start(self, moments: Moments | None = None, *, order: int = 0) -> bool | None:
        """Runs a new study; None if it was killed."""
        given = {**CURVE, **self.settings, "results_dir": str(self.results_dir), "name": self.name}
        settings = resolve(given, config=None, assignments=list(self.assignments))
        if settings.dataset == "digits":
            digits = _digits_decoded_once()
            self.monkeypatch.setattr(registry, "load_dataset", lambda _: digits)
        checked = check_new(settings, self.console, register=self.register)
        self.folder.mkdir(parents=True, exist_ok=True)
        warm_start.keep(self.folder, checked.warm_start)
        return self._run(checked, moments or Moments(), order)

    def resume(
        self,
        moments: Moments | None = None,
        *,
        order: int = 1,
        accept: bool = False,
        register: str | None = None,
        **given: Any,
    ) -> bool | None:
        """Resumes it, with other settings where they are given; None if it was killed."""
        stored = stored_settings(files.read_study(self.folder))
        settings = resolve(given, config=None, assignments=[], stored=stored)
        with contextlib.ExitStack() as held:
            checked = check_resumed(
                settings,
                self.folder,
                held,
                self.console,
                accept_code_change=accept,
                register=register,
            )
            return self._run(checked, moments or Moments(), order)

    def _run(self, checked: CheckedStudy, moments: Moments, order: int) -> bool | None:
        reservation = Reservation(cpus=1, gpus=0, max_concurrent=self.slots)
        cluster = Cluster(kind="in process", present=[{"CPU": 1, "GPU": 0}])
        content = describe(
            checked,
            weights=checked.inputs.weights,
            cluster=cluster,
            reservation=reservation,
        )
        stored = replay.StoredStudy()
        if checked.resumed is not None:
            now = manifest.record_of(content)
            stored = replay.read(checked.folder, checked.resumed.study, now)
            content = manifest.continued(checked.resumed.study, content)
        content |= register(checked, content, self.console)
        with self.monkeypatch.context() as patch:
            for module, name in ((files, "write_table"), (files, "write_text")):
                patch.setattr(module, name, _mortal(getattr(module, name), moments))
            # Tables are written on cue; the writer's own rounds would depend on how busy we are.
            patch.setattr(writing, "LEAST_SECONDS", 3600.0)
            hold = SimpleNamespace(check=lambda: None)
            try:
                executor = InProcessExecutor(
                    moments=moments, slots=self.slots, order=order, writes=self.writes
                )
                session = Session(
                    checked,
                    executor=executor,
                    reservation=reservation,
                    console=self.console,
                    study_json=Manifest(checked.folder, content, hold.check),
                    stored=stored,
                    interruption=Interruption(),
                    hold=hold,
                    weights=checked.inputs.weights,
                )
                executor.writer = session.writer
                patch.setattr(study, "report", lambda *_: None)  # takes seconds; tested by itself
                return study.run(session)
            except Killed:
                return None


def _mortal(write: Callable[..., None], moments: Moments) -> Callable[..., None]:
    """Writes a file unless the driver is dead, or dies now."""

    def mortal(first: Path, *rest: Any, **how: Any) -> None:
        moments.pass_one(f"write {rest[0] if len(rest) > 1 else first.name}")
        write(first, *rest, **how)

    return mortal


@functools.cache
def _digits_decoded_once() -> DataSet:
    opened = registry.load_dataset("digits").open(None, 32)
    decoded = dataclasses.replace(
        opened,
        read_training=functools.cache(opened.read_training),
        read_test=functools.cache(opened.read_test),
    )
    return DataSet(name="digits", summary="decoded once", open=lambda *_: decoded)
