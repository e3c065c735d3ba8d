"""One phase of a study: a Tuner over its trials, with the study's own searcher and scheduler."""

import functools
import logging
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError
from ray.tune.experiment import Trial

from orchestrator.run import ray_actors
from orchestrator.run.kept_processes import KeptProcesses
from orchestrator.run.reservation import Reservation
from orchestrator.run.signals import Interruption
from orchestrator.search.early_finals import SearchAndFinals
from orchestrator.search.scheduler import RecordingScheduler
from orchestrator.search.trial_queue import TrialQueue
from orchestrator.trials.recorder import Recorder
from orchestrator.trials.table_writer import WritingError
from trainables import watchdog
from trainables.secrets import redacted
from trainables.trial import References, StudyTrial


@dataclass(frozen=True, kw_only=True)
class Phase:
    """Arguments of one phase, which one Tuner runs.

    Attributes:
        name: `search` or `finals`; Tune's own files go to `tune/<name>`, and are disposable.
        references: What trials share.
        config: What all trials are given besides, see `trainables.attempt_config`.
        folder: The study's folder, absolute.
        waiting: Called now and then with the seconds for which no trial has run; may end the phase.
    """

    name: str
    searcher: TrialQueue | SearchAndFinals
    scheduler: RecordingScheduler
    recorder: Recorder
    references: References
    config: Mapping[str, Any]
    folder: Path
    reservation: Reservation
    interruption: Interruption
    waiting: Callable[[float], None]


def run(phase: Phase, kept: KeptProcesses) -> None:
    """Runs all trials of a phase, with another Tuner where Ray has ended one too early.

    Tune's own count of errors is ignored: what became of a trial is in the recorder. `kept` has the
    processes that the phase before has left, and gets those of this one.

    Raises:
        OSError: What was found cannot be kept; the disk is full, for one.
        RuntimeError: Tune has ended again before anything new was known of any trial.
    """
    # The study says and writes itself what Tune would; a trial's traceback is in its log.
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"  # the new output engine prints at any verbosity
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    known, is_last = -1, phase.name != "search"
    while True:
        try:
            with (
                ray_actors.one_at_a_time(),
                ray_actors.without_keys(),
                kept.used_by(
                    phase.references,
                    phase.reservation.bundle,
                    phase.reservation.max_concurrent,
                    wanted=lambda: phase.searcher.may_use_idle(and_next=not is_last),
                    leaves=not is_last,
                ),
                phase.interruption.tuning(),
                ray_actors.callbacks_uncounted(),
            ):
                _make_tuner(phase).fit()
            return
        except (RayError, RuntimeError, tune.TuneError) as error:
            _raise_own(error)
            phase.recorder.check_kept()
            inner = error.__cause__ or error.__context__
            by_ray = isinstance(error, RayError) or isinstance(inner, RayError)
            before, known = known, phase.recorder.known()
            if not by_ray or known == before:
                raise
            message = redacted(" ".join(str(error).split()))[:300]
            phase.recorder.event("tuner_restarted", message)
            phase.searcher.take_back()


def _make_tuner(phase: Phase) -> tune.Tuner:
    storage = phase.folder / "tune"
    # Tune would mix trials into the folder of an earlier Tuner of the study.
    earlier = len(list(storage.glob(f"{phase.name}-*")))
    return tune.Tuner(
        tune.with_parameters(StudyTrial, references=phase.references),
        param_space=dict(phase.config),
        tune_config=tune.TuneConfig(
            search_alg=phase.searcher,
            scheduler=phase.scheduler,
            num_samples=-1,
            max_concurrent_trials=phase.reservation.max_concurrent,
            trial_name_creator=_attempt_name,
            trial_dirname_creator=_attempt_name,
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=f"{phase.name}-{earlier + 1}",
            storage_path=str(storage),
            failure_config=tune.FailureConfig(max_failures=0),
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            callbacks=[
                AttemptClock(
                    phase.recorder,
                    phase.searcher.attempt_began,
                    phase.interruption.listen_to_tunes,
                ),
                ray_actors.Overdue(
                    phase.config["epoch_time_limit"],
                    phase.scheduler.overdue,
                    phase.waiting,
                    functools.partial(watchdog.epoch_began, phase.folder),
                ),
            ],
            verbose=0,
        ),
    )


def _raise_own(error: BaseException) -> None:
    """Raises what a report or a callback of ours has raised, which Tune hides in a text."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, (OSError, WritingError)) and not isinstance(inner, RayError):
            raise inner
        inner = inner.__cause__ or inner.__context__


class AttemptClock(tune.Callback):
    """Callback that starts a trial's clock, and ends a phase whose rows do not reach the disk."""

    def __init__(
        self,
        recorder: Recorder,
        began: Callable[[str, float], None],
        listen: Callable[[], None] = lambda: None,
    ) -> None:
        """Takes the recorder of the phase, what reports a trial and its devices, and `listen`."""
        self._recorder, self._began, self._listen = recorder, began, listen

    def on_step_begin(self, *_: Any, **_info: Any) -> None:
        """Checks that rows still reach the disk, without waiting for the next one."""
        self._listen()
        self._recorder.check_kept()

    def on_trial_start(self, *_: Any, **info: Any) -> None:
        """See the class."""
        trial: Trial = info["trial"]
        resources = trial.config["resources"]
        self._began(trial.config["trial_id"], resources.get("GPU") or resources["CPU"])
        ray_actors.name_epochs(trial)


def _attempt_name(trial: Trial) -> str:
    return f"{trial.config['trial_id']}_attempt-{trial.config['attempt']}"
