"""The Ray trainable: one actor per attempt, named after its trial, with its log in the study."""

import faulthandler
import logging
import socket
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import ray
from ray import tune

from trainables import device_memory, memory_kills, node_check, watchdog
from trainables.attempt import Attempt, AttemptConfig
from trainables.registry import load_family
from trainables.trial_error import described

log = logging.getLogger("trainables")


@dataclass(frozen=True, kw_only=True)
class References:
    """Where the object store has what trials share.

    Attributes:
        shared: A `SharedData`.
        test: A `LabeledImages`; None in the search, which never sees the test part.
    """

    shared: "ray.ObjectRef[Any]"
    test: "ray.ObjectRef[Any] | None"


class StudyTrial(tune.Trainable):
    """One attempt at one trial, stepped by Tune epoch by epoch.

    Its checkpoints are the study's own files, written before the epoch is reported.
    """

    # tune.with_parameters passes what trials share as arguments after the configuration.
    def setup(  # type: ignore[override]
        self, config: dict[str, Any], references: References
    ) -> None:
        """Takes the configuration; the network is built in the first step.

        A failure there is the trial's own error, which a failing constructor would hide.
        """
        self._config = AttemptConfig(**{f.name: config[f.name] for f in fields(AttemptConfig)})
        self._references, self._software = references, config["software"]
        self._epoch_time_limit = config["epoch_time_limit"]
        self._share = config["resources"].get("GPU", 0.0)
        self._attempt: Attempt | None = None

    def step(self) -> dict[str, Any]:
        """One epoch; see `Attempt.step`. A process that hangs in it is ended."""
        if self._attempt is None:
            self._check_node()  # before anything is written
        folder, trial_id = Path(self._config.folder), self._config.trial_id
        node_id = ray.get_runtime_context().get_node_id()
        with (
            memory_kills.noted(memory_kills.file_of(folder, trial_id), node_id),
            watchdog.ended_after(self._epoch_time_limit, watchdog.file_of(folder, trial_id)),
        ):
            return self._step()

    def _step(self) -> dict[str, Any]:
        try:
            if self._attempt is None:
                _log_to(Path(self._config.folder) / "logs" / f"{self._config.trial_id}.log")
                log.info("attempt %d: %s", self._config.attempt, self._config)
                self._attempt = self._make_attempt()
            return {**self._attempt.step(), "node": socket.gethostname()}
        except (Exception, SystemExit) as error:
            log.exception("attempt %d failed", self._config.attempt)
            raise described(error) from None  # the driver may not be able to read the error itself

    def _check_node(self) -> None:
        """Refuses a node that joined after the study began, and cannot run its trials."""
        complaint = node_check.complaint(self._software, Path(self._config.folder) / "study.json")
        if complaint:
            raise RuntimeError(complaint)

    def _make_attempt(self) -> Attempt:
        device_memory.take_share(self._share, load_family(self._config.family))
        test = self._references.test
        return Attempt(
            self._config, ray.get(self._references.shared), None if test is None else ray.get(test)
        )

    def __repr__(self) -> str:
        """What the Ray dashboard calls the actor."""
        return f"{self._config.trial_id}/attempt-{self._config.attempt}"

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """What one trial reserves, from the configuration's `resources`."""
        return tune.PlacementGroupFactory([config["resources"]])


def _log_to(path: Path) -> None:
    """Sends this process's log, warnings, and the traceback of a fatal signal to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.captureWarnings(capture=True)
    for name in ("trainables", "py.warnings"):
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).setLevel(logging.INFO)
    faulthandler.enable(path.open("a", encoding="utf-8"))
