"""The Ray trainable: a process that makes one attempt after another, each with its trial's log."""

import contextlib
import faulthandler
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TextIO

import ray
from ray import tune

from trainables import (
    checkpoints,
    device_memory,
    memory_kills,
    node_check,
    place,
    process_state,
    watchdog,
)
from trainables.attempt import Attempt
from trainables.attempt_config import AttemptConfig
from trainables.registry import load_family
from trainables.secrets import RedactingFormatter
from trainables.trial_error import described

PACKAGE: Final = __name__.rpartition(".")[0]
log = logging.getLogger(PACKAGE)


@dataclass(frozen=True, kw_only=True)
class References:
    """Where the object store has what trials share.

    Attributes:
        shared: A `SharedData`.
        test: A `LabeledImages`; None before the choice: nothing sees the test part.
    """

    shared: "ray.ObjectRef[Any]"
    test: "ray.ObjectRef[Any] | None"


class StudyTrial(tune.Trainable):
    """One attempt at one trial after another, stepped by Tune stretch by stretch of epochs.

    A process that has ended an attempt in order takes the next that reserves the same; one in
    which anything went wrong is never used again. Checkpoints are the study's own files, written
    before the epochs are reported.
    """

    # tune.with_parameters passes what trials share as arguments after the configuration.
    def setup(  # type: ignore[override]
        self, config: dict[str, Any], references: References
    ) -> None:
        """Takes the first attempt; see `reset_config`."""
        self._references, self._study = references, Path(config["folder"]).name
        self._attempt: Attempt | None = None
        self._put_back, self._log_file = contextlib.ExitStack(), _LogFile()
        self.reset_config(config)

    def refer(self, references: References) -> None:
        """Takes what the trials of another phase share."""
        self._references = references

    def reset(self, new_config: dict[str, Any], storage: Any = None) -> bool:
        """Takes another attempt, or ends the process: a failing reset would lose the trial."""
        try:
            return bool(super().reset(new_config, storage))  # type: ignore[no-untyped-call]
        except Exception:  # noqa: BLE001 (whatever it is, a process that dies is met)
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(1)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the configuration of an attempt; its network is built in the first step.

        A failure there is the trial's own error, which a failing constructor would hide.
        """
        self.cleanup()
        self._config = AttemptConfig(**{f.name: new_config[f.name] for f in fields(AttemptConfig)})
        self._software, self._share = new_config["software"], new_config["resources"].get("GPU", 0)
        self._epoch_time_limit = new_config["epoch_time_limit"]
        self._measures_speed = new_config["mix_devices"]
        self._attempt = None
        return True

    def step(self) -> dict[str, Any]:
        """A stretch of epochs; see `Attempt.step`. A process that hangs in one is ended."""
        if self._attempt is None:
            self._check_node()  # before anything is written
        folder, trial_id = Path(self._config.folder), self._config.trial_id
        node_id = ray.get_runtime_context().get_node_id()
        with (
            checkpoints.kept_in(folder / "logs"),
            memory_kills.noted(memory_kills.file_of(folder, trial_id), node_id),
            watchdog.epoch_time_limit(
                self._epoch_time_limit, watchdog.file_of(folder, trial_id)
            ) as epoch_begins,
        ):
            return self._step(epoch_begins)

    def _step(self, epoch_begins: Callable[[], None]) -> dict[str, Any]:
        try:
            if self._attempt is None:
                self._attempt = self._begin()
            return {**self._attempt.step(epoch_begins), **asdict(self._place)}
        except (Exception, SystemExit) as error:
            if hasattr(error, "ray_terminate_msg"):  # Ray's, of a SIGTERM to this process
                raise
            log.exception("attempt %d failed", self._config.attempt)
            raise described(error) from None  # the driver may not be able to read the error itself

    def cleanup(self) -> None:
        """Nothing is written once the trial has ended."""
        if self._attempt is not None:
            self._attempt.close()

    def _check_node(self) -> None:
        """Rejects a node that joined after the study began, and cannot run its trials."""
        error = node_check.node_error(self._software, Path(self._config.folder) / "study.json")
        if error:
            raise RuntimeError(error)

    def _begin(self) -> Attempt:
        """Begins the attempt in a process that looks as if no other had been made in it."""
        logs = Path(self._config.folder) / "logs"
        with checkpoints.kept_in(logs):
            self._log_file.move_to(logs / f"{self._config.trial_id}.log")
        log.info("attempt %d, process %d: %s", self._config.attempt, os.getpid(), self._config)
        self._put_back.close()
        os.environ.update(ray.get(self._references.shared).environment)  # families may read it
        self._put_back.enter_context(process_state.put_back(self._import_family()))
        return self._make_attempt()

    def _import_family(self) -> list[ModuleType]:
        """The modules of the family and of its trainer, which brings PyTorch where it needs it."""
        family = load_family(self._config.family)
        names = {family.build.__module__, family.trainer.partition(":")[0]}
        return [importlib.import_module(name) for name in sorted(names)]

    def _make_attempt(self) -> Attempt:
        device_memory.take_share(self._share)
        self._place = place.here(self._config.device)
        if self._measures_speed and (self._config.device == "cpu" or self._place.cuda):
            self._place = replace(self._place, device_speed=self._speed())
        limit = device_memory.limit_of_images(self._config.device, self._share)
        shared = ray.get(self._references.shared)
        test = self._references.test
        opened = None if test is None else ray.get(test)
        return Attempt(self._config, shared, opened, image_memory=limit)

    def _speed(self) -> float:
        from trainables.training.device_speed import device_speed

        config = self._config
        return device_speed(config.device, config.precision, config.threads)

    def __repr__(self) -> str:
        """What the Ray dashboard calls the actor, for as long as it lives."""
        return f"trials of {self._study}"

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What one trial reserves, from the configuration's `resources`."""
        return tune.PlacementGroupFactory([config["resources"]])


class _LogFile:
    """Where this process's log, warnings, and the traceback of a fatal signal go."""

    def __init__(self) -> None:
        self._handler: logging.StreamHandler[TextIO] | None = None

    def move_to(self, path: Path) -> None:
        """Sends them to a file from now on, after what it has."""
        path.parent.mkdir(parents=True, exist_ok=True)
        handler: logging.StreamHandler[TextIO]
        handler = logging.StreamHandler(path.open("a", encoding="utf-8"))
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(message)s"))
        logging.captureWarnings(capture=True)
        faulthandler.enable(handler.stream)
        for logger in map(logging.getLogger, (PACKAGE, "py.warnings")):
            logger.setLevel(logging.INFO)
            logger.addHandler(handler)
            if self._handler is not None:
                logger.removeHandler(self._handler)
        if self._handler is not None:
            self._handler.stream.close()
        self._handler = handler
