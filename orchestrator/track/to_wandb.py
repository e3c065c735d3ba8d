"""A study in Weights & Biases: a run for each trial, in the study's group.

A run that was ended here leaves a note beside its files of how far it came. One that a killed
process left open is gone on with: from the step that the server says, or, offline, anew. Offline,
its service writes a file after it has said that a run is finished, so that is looked at too.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import wandb
from wandb.proto.wandb_internal_pb2 import Record

from orchestrator.results.states import MAY_WIN, Outcome, State
from orchestrator.track.tracked_study import TrackedEpoch, TrackedStudy, Tracker

DEFAULT: Final = "transfer-study"
NOTE: Final = "transfer-study.json"
OFFLINE: Final = "offline-"
SECONDS: Final = 30.0
BLOCK_BYTES: Final = 32_768
HEADER_BYTES: Final = 7
FULL, LAST = 1, 4


@dataclass(frozen=True, kw_only=True)
class _Content:
    """What a run is to have."""

    name: str
    kind: str
    status: str
    config: Mapping[str, object]
    tags: Sequence[str]
    epochs: Sequence[TrackedEpoch]
    summary: Mapping[str, float]
    files: Sequence[Path] = ()

    @property
    def note(self) -> dict[str, Any]:
        """How far it has come."""
        return {"status": self.status, "epochs": len(self.epochs)}


class WandbTracker(Tracker):
    """See the module."""

    def __init__(self, place: str) -> None:
        """Takes `PROJECT` or `ENTITY/PROJECT`; empty: as WANDB_PROJECT and WANDB_ENTITY say."""
        try:  # to end the service of an earlier tracker, which may be dead
            wandb.teardown()
        except Exception:  # noqa: BLE001 (whatever its dead connection raises)
            wandb.teardown()
        entity, _, project = place.rpartition("/")
        self._entity = entity or os.environ.get("WANDB_ENTITY")
        self._project = project or os.environ.get("WANDB_PROJECT") or DEFAULT
        self._folder = Path(os.environ.get("WANDB_DIR") or ".").absolute()
        self._open: dict[str, Any] = {}  # runs of theirs, each with the last epoch that it has
        self._last: dict[str, int] = {}
        self._ended: dict[str, Mapping[str, object]] = {}

    def update(self, study: TrackedStudy) -> None:
        """See `Tracker`."""
        for content in _contents(study):
            run_id = re.sub(r"[^\w.-]", "-", f"{study.identity}-{content.name}")
            if self._ended.get(run_id) != content.note:
                self._send(study, run_id, content)

    def close(self) -> None:
        """Ends what is open, which is not complete, and the service.

        Raises:
            OSError: Not all of a run is in its file.
        """
        for run in self._open.values():
            run.finish(exit_code=1)
        self._open.clear()
        wandb.teardown()
        for run_id in self._ended:
            if not any(map(_is_whole, self._folder.glob(f"wandb/*run-*-{run_id}"))):
                raise OSError(f"not all of {run_id} lies below {self._folder}")

    def _send(self, study: TrackedStudy, run_id: str, content: _Content) -> None:
        if run_id not in self._open:
            notes, halves = [], []
            for folder in self._folder.glob(f"wandb/*run-*-{run_id}"):
                if _is_whole(folder):
                    notes.append(json.loads((folder / NOTE).read_text("utf-8")))
                elif folder.name.startswith(OFFLINE):  # an earlier process did not end it
                    halves.append(folder)
            if content.note in notes:
                self._ended[run_id] = content.note
                return
            for folder in halves:
                shutil.rmtree(folder)
            self._open[run_id] = run = self._begin(study, run_id, content)
            # A server's run goes on from its step.
            self._last[run_id] = max([run.step - 1, *(note["epochs"] for note in notes)])
        for epoch in content.epochs:
            if epoch.epoch > self._last[run_id]:
                self._open[run_id].log(dict(epoch.metrics), step=epoch.epoch)
                self._last[run_id] = epoch.epoch
        if content.status != State.RUNNING:
            self._end(study, run_id, content)

    def _begin(self, study: TrackedStudy, run_id: str, content: _Content) -> Any:
        return wandb.init(
            entity=self._entity,
            project=self._project,
            id=run_id,
            name=content.name,
            group=study.name,
            job_type=content.kind,
            config=dict(content.config),
            tags=content.tags,
            resume="allow",
            reinit="create_new",
            dir=str(self._folder),
            settings=wandb.Settings(
                console="off",
                silent=True,
                disable_git=True,
                disable_code=True,
                init_timeout=SECONDS,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )

    def _end(self, study: TrackedStudy, run_id: str, content: _Content) -> None:
        run = self._open[run_id]
        folder = Path(run.dir).parent
        run.config.update(dict(content.config), allow_val_change=True)
        run.tags = (*content.tags, content.status)
        run.summary.update(dict(content.summary))
        if content.files:
            artifact = wandb.Artifact(f"study-{study.identity}", type="report")
            for path in content.files:
                artifact.add_file(str(path), name=path.name)
            run.log_artifact(artifact)
        run.finish(exit_code=0 if content.status in MAY_WIN else 1)
        (folder / NOTE).write_text(json.dumps(content.note), encoding="utf-8")
        self._ended[run_id] = content.note
        del self._open[run_id]


def _is_whole(folder: Path) -> bool:
    """Whether a run's folder has all of a run that was ended; its server has what is not here."""
    if not (folder / NOTE).exists():
        return False
    ends = (
        any(record.WhichOneof("record_type") == "exit" for record in records(path))
        for path in folder.glob("*.wandb")
    )
    return not folder.name.startswith(OFFLINE) or all(ends)


def records(path: Path) -> Iterator[Record]:
    """The whole records of a `.wandb` file, which may be torn at its end.

    Weights & Biases has no reader for it. It is a log as LevelDB writes it
    (https://github.com/google/leveldb/blob/main/doc/log_format.md) behind a header of seven bytes,
    of one protocol buffer a record.
    """
    data, at, parts = path.read_bytes(), HEADER_BYTES, b""
    while at + HEADER_BYTES <= len(data):
        left = BLOCK_BYTES - at % BLOCK_BYTES
        if left < HEADER_BYTES:  # no record begins there
            at += left
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        at += HEADER_BYTES + length
        if at > len(data):
            return
        parts += data[at - length : at]
        if kind in {FULL, LAST}:
            yield Record.FromString(parts)
            parts = b""


def _contents(study: TrackedStudy) -> Iterator[_Content]:
    """The runs that have something to show, the study's own last, once it has ended."""
    for run in study.runs:
        if run.epochs or run.status != State.RUNNING:
            yield _Content(
                name=run.name,
                kind=run.search,
                status=run.status,
                config={**run.params, **run.tags},
                tags=[run.tags["family"], run.tags["role"], run.phase],
                epochs=run.epochs,
                summary=run.summary,
            )
    if study.outcome != Outcome.RUNNING:
        yield _Content(
            name=study.name,
            kind="study",
            status=study.outcome,
            config=study.tags,
            tags=["study"],
            epochs=(),
            summary=study.comparison,
            files=study.files,
        )
