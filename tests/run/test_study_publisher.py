"""A running study is published: whole, again and again, by one head, and never at its cost."""

import contextlib
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from orchestrator.results import fetched, files, published
from orchestrator.results.lock import HeldError
from orchestrator.results.published import Place, Run, Snapshot
from orchestrator.run import study_publisher
from orchestrator.run.staging import staged
from orchestrator.run.study_publisher import StudyPublisher, TakenOverError
from trainables import checkpoints
from trainables.trial_files import best_weights_file

FIRST = Run(started_at="2026-05-04T12:00:00+00:00", host="first", pid=7)
SECOND = Run(started_at="2026-05-04T13:00:00+00:00", host="second", pid=9)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "été with spaces" / "mine"
    (folder / "winners" / "cnn").mkdir(parents=True)
    (folder / "study.json").write_text("{}")
    (folder / "trials.parquet").write_bytes(b"trials 1")
    (folder / "winners" / "cnn" / "model.safetensors").write_bytes(b"weights")
    for left_out in ("tune/1/state", ".driver.lock", "trials.parquet.damaged-1", ".study.json.7"):
        (folder / left_out).parent.mkdir(parents=True, exist_ok=True)
        (folder / left_out).write_bytes(b"x")
    return folder


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = published.place_of(f"file://{tmp_path}/copies/mine", flag="--publish")
    place.check_writable()
    return place


class Publishing:
    """A publisher, and what it noted and said."""

    def __init__(self, folder: Path, place: Place, runs: Sequence[Run] = (FIRST,)) -> None:
        self.noted: list[tuple[str, str]] = []
        self.said: list[str] = []
        self.held = True
        self.publisher = StudyPublisher(
            folder,
            place,
            runs=runs,
            still=contextlib.nullcontext,
            check=self._check,
            note=lambda kind, detail: self.noted.append((kind, detail)),
            say=self.said.append,
        )
        self.publish = self.publisher.publish

    def _check(self) -> None:
        if not self.held:
            raise HeldError


def lying(place: Place) -> dict[str, bytes]:
    """What a reader finds: path in the study's folder to content."""
    snapshot = place.snapshot()
    assert snapshot is not None
    return {
        name: place.filesystem.cat_file(f"{place.path}/objects/{published.object_name(name, file)}")
        for name, file in snapshot.files.items()
    }


def test_all_that_a_study_is_lies_there_and_nothing_else(folder: Path, place: Place) -> None:
    Publishing(folder, place).publish()
    assert lying(place) == {
        "study.json": b"{}",
        "trials.parquet": b"trials 1",
        "winners/cnn/model.safetensors": b"weights",
    }
    assert not (folder / ".publishing").exists()


def test_only_what_has_changed_is_sent_and_what_it_replaces_stays_for_one_round(
    folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    publishing, sent = Publishing(folder, place), []
    send = Place.send
    monkeypatch.setattr(Place, "send", lambda *a: (sent.append(a[1].read_bytes()), send(*a)))
    publishing.publish()
    assert len(sent) == 3
    sent.clear()
    publishing.publish()
    assert sent == []
    files.write_text(folder / "trials.parquet", "trials 2")
    publishing.publish()
    assert sent == [b"trials 2"]
    assert len(place.sizes()) == 4  # whoever began to read before can go on
    publishing.publish()
    assert len(place.sizes()) == 3
    files.write_text(folder / "trials.parquet", "trials 3")
    publishing.publish(last=True)
    assert len(place.sizes()) == 3
    assert lying(place)["trials.parquet"] == b"trials 3"


def test_what_is_replaced_while_it_is_sent_is_sent_as_it_was(
    folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Place.send

    def replacing(self: Place, source: Path, name: str) -> None:
        files.write_text(folder / "trials.parquet", "trials 2")
        shutil.rmtree(folder / "winners", ignore_errors=True)
        send(self, source, name)

    monkeypatch.setattr(Place, "send", replacing)
    Publishing(folder, place).publish()
    assert lying(place)["trials.parquet"] == b"trials 1"
    assert lying(place)["winners/cnn/model.safetensors"] == b"weights"


def test_of_a_trial_the_newest_checkpoint_is_held_with_its_claim_and_best_weights(
    folder: Path,
) -> None:
    trial = folder / "checkpoints" / "cnn-tuned-s0-f1"
    claim = checkpoints.claim(trial, attempt=1, trial={"trial_id": trial.name})
    for epoch in (1, 2):
        best_weights_file(trial, epoch).write_bytes(b"best")
        checkpoints.save(trial, epoch=epoch, state=[b"state"], rows=[], claim=claim)
    (folder / "checkpoints" / "stray").mkdir()
    (folder / "checkpoints" / "stray" / "epoch-00001.json").write_text("{}")
    with staged(folder, (), contextlib.nullcontext()) as found:
        names = {name for name in found if name.startswith("checkpoints")}
    assert {name.removeprefix(f"checkpoints/{trial.name}/") for name in names} == {
        *("epoch-00002.json", "epoch-00002.pt", "attempt.json"),
        *("best-00001.safetensors", "best-00002.safetensors"),
    }


def test_a_checkpoint_that_goes_while_it_is_held_is_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = folder / "checkpoints" / "cnn-000"
    claim = checkpoints.claim(trial, attempt=1, trial={"trial_id": trial.name})
    link, epochs = checkpoints.link, iter(range(2, 5))
    checkpoints.save(trial, epoch=1, state=[b"1"], rows=[], claim=claim)

    def linking(source: Path, target: Path) -> None:
        if source.parent == trial:
            for epoch in epochs:
                checkpoints.save(trial, epoch=epoch, state=[b"1"], rows=[], claim=claim)
        link(source, target)

    monkeypatch.setattr(checkpoints, "link", linking)
    with staged(folder, (), contextlib.nullcontext()) as found:
        states = [name for name in found if name.endswith(".pt")]
    assert states == ["checkpoints/cnn-000/epoch-00004.pt"]


def test_a_head_that_resumes_takes_over_and_the_old_one_stops_with_an_event(
    folder: Path, place: Place, tmp_path: Path
) -> None:
    old = Publishing(folder, place)
    old.publish()
    back = tmp_path / "back" / "mine"
    fetched.bring_back(place.address, back)
    Publishing(back, place, (FIRST, SECOND)).publish()
    with pytest.raises(TakenOverError, match="is published by process 9 on second"):
        old.publish()
    with old.publisher.running():
        pass
    assert [kind for kind, _ in old.noted] == ["publish_ended"]
    assert old.said[-1].startswith("Not published to the end")
    assert place.snapshot().runs == (FIRST, SECOND)


def test_a_head_that_was_written_over_by_the_old_one_once_more_sends_all_that_is_missing(
    folder: Path, place: Place
) -> None:
    new = Publishing(folder, place, (FIRST, SECOND))
    new.publish()
    place.write(Snapshot(study="mine", published_at=1.0, runs=(FIRST,), files={}))
    place.remove(list(place.sizes())[:2])
    new.publish()
    assert len(lying(place)) == 3
    assert place.snapshot().runs == (FIRST, SECOND)


def test_a_driver_that_lost_its_folder_publishes_no_more(folder: Path, place: Place) -> None:
    publishing = Publishing(folder, place)
    publishing.held = False
    with publishing.publisher.running():
        pass
    assert place.snapshot() is None
    assert [kind for kind, _ in publishing.noted] == ["publish_ended"]


class Breaking:
    """Fails at the first sends."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, failures: int) -> None:
        self.left, self.over = failures, threading.Event()
        send = Place.send

        def breaking(*arguments: Any) -> None:
            if self.left:
                self.left -= 1
                message = "s3://me:secret@bucket is gone"
                raise ConnectionError(message)
            self.over.set()
            send(*arguments)

        monkeypatch.setattr(Place, "send", breaking)


@pytest.fixture
def without_rest(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("SECONDS", "REST_SECONDS"):
        monkeypatch.setattr(study_publisher, name, 0.0)
    return


@pytest.mark.usefixtures("without_rest")
def test_a_failing_upload_is_one_event_without_secrets_and_is_tried_again(
    folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaking, publishing = Breaking(monkeypatch, failures=3), Publishing(folder, place)
    with publishing.publisher.running():
        assert breaking.over.wait(timeout=60)
    ((kind, detail),) = publishing.noted
    assert kind == "publish_failed"
    assert "is gone" in detail
    assert "secret" not in detail
    assert publishing.said[-1] == f"Published: {place.address}"
    assert len(lying(place)) == 3


def test_an_upload_that_fails_to_the_end_is_said_and_raises_nothing(
    folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    Breaking(monkeypatch, failures=1_000)
    publishing = Publishing(folder, place)
    with publishing.publisher.running():
        pass
    assert publishing.said[-1].startswith("Not published to the end")
    assert publishing.said[-1].endswith("is gone; nothing of this run is there")


def test_an_upload_that_takes_for_ever_is_not_waited_for_when_the_study_is_interrupted(
    folder: Path, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    monkeypatch.setattr(Place, "send", lambda *_: over.wait(timeout=60))
    monkeypatch.setattr(study_publisher, "LAST_INTERRUPTED_SECONDS", 0.01)
    publishing = Publishing(folder, place)
    with pytest.raises(KeyboardInterrupt), publishing.publisher.running():
        raise KeyboardInterrupt
    over.set()
    assert "was not sent within 0.01 s" in publishing.said[-1]
