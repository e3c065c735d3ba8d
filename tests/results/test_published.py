"""A study behind an address: whole, of one moment, and nobody else's."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from made_up_record import record
from made_up_status import write_study
from published_copies import publish
from s3_server import s3_bucket

from orchestrator.clean.__main__ import main as clean
from orchestrator.results import fetched
from orchestrator.results.published import Place, Run, check_place
from orchestrator.status import __main__ as status

MINE = Path("/results/mine")
RUNS = (Run(started_at="2026-05-04T12:00:00+00:00", host="head", pid=7),)
STUDY = {"runs": [{**RUNS[0].model_dump(), "outcome": "running"}]}
LATER = (*RUNS, Run(started_at="2026-05-04T13:00:00+00:00", host="other", pid=9))


@pytest.fixture(params=["file", "memory", "s3"])
def address(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """Of a folder that is there."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    if request.param == "file":
        (tmp_path / "copies").mkdir()
        yield f"file://{tmp_path / 'copies'}"
        return
    if request.param == "s3":
        with s3_bucket("bucket"):
            yield "s3://bucket/copies"
        return
    yield "memory://bucket/copies"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


def test_a_study_is_brought_back_as_it_was_and_files_that_are_alike_are_brought_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path / "mine", runs=STUDY["runs"])
    for name in ("checkpoints/cnn-000/best.safetensors", "winners/cnn/model.safetensors"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"weights")
    place = publish(folder, address)
    brought: list[str] = []
    get = Place.get
    monkeypatch.setattr(Place, "get", lambda *a: (brought.append(a[1]), get(*a)))
    back = tmp_path / "elsewhere" / "mine"
    snapshot = fetched.bring_back(place.address, back)
    assert snapshot.runs == RUNS
    here, there = (
        {p.relative_to(top): p.read_bytes() for p in top.rglob("*") if p.is_file()}
        for top in (folder, back)
    )
    assert here == there
    assert len(brought) == len(set(brought)) == len(here) - 1
    assert [path.name for path in back.parent.iterdir()] == ["mine"]


def test_a_copy_is_made_anew_of_what_has_changed_and_loses_what_is_there_no_more(
    address: str, tmp_path: Path
) -> None:
    folder = write_study(tmp_path / "mine", runs=STUDY["runs"])
    (folder / "comparison.md").write_text("before")
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "state.pt").write_bytes(b"not to be read")
    place = publish(folder, address)
    copy = fetched.local_folder(place.address)
    assert copy.name == "mine"
    assert (copy / "comparison.md").read_text() == "before"
    assert not (copy / "checkpoints").exists()
    (folder / "comparison.md").unlink()
    write_study(folder, outcome="completed", runs=STUDY["runs"])
    publish(folder, address)
    assert fetched.local_folder(place.address) == copy
    assert json.loads((copy / "study.json").read_text())["outcome"] == "completed"
    assert not (copy / "comparison.md").exists()


def test_whoever_reads_while_a_study_is_published_takes_what_the_next_manifest_names(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_study(tmp_path / "mine", runs=STUDY["runs"])
    place = publish(folder, address)
    earlier, read = place.snapshot(), []
    assert earlier is not None
    write_study(folder, outcome="completed", runs=STUDY["runs"])
    publish(folder, address)
    place.remove(earlier.objects() - place.snapshot().objects())
    snapshot = Place.snapshot
    monkeypatch.setattr(
        Place,
        "snapshot",
        lambda self: read.append(1) or (earlier if len(read) == 1 else snapshot(self)),
    )
    copy = fetched.local_folder(place.address)
    assert json.loads((copy / "study.json").read_text())["outcome"] == "completed"
    assert len(read) == 2


def test_files_that_a_manifest_names_and_that_are_gone_or_others_are_refused(
    address: str, tmp_path: Path
) -> None:
    place = publish(write_study(tmp_path / "mine", runs=STUDY["runs"]), address)
    objects = place.sizes()
    victim = next(name for name in objects if name.endswith(".json"))
    other = tmp_path / "other"
    other.write_bytes(b"x" * objects[victim])
    place.send(other, victim)
    with pytest.raises(ValueError, match="must have SHA-256"):
        fetched.local_folder(place.address)
    place.remove([victim])
    with pytest.raises(ValueError, match=r"files that .*mine names do not lie there"):
        fetched.local_folder(place.address)


@pytest.mark.parametrize("name", ["../../.bashrc", "/etc/passwd", ".driver.lock", "a//b", "a\\b"])
def test_f22_a_manifest_names_nothing_outside_a_studys_folder(
    name: str, address: str, tmp_path: Path
) -> None:
    place = publish(write_study(tmp_path / "mine", runs=STUDY["runs"]), address)
    content = json.loads(place.filesystem.cat_file(f"{place.path}/manifest.json"))
    content["files"][name] = content["files"].pop("study.json")
    place.filesystem.pipe_file(f"{place.path}/manifest.json", json.dumps(content).encode())
    with pytest.raises(ValueError, match="must be a path inside a study's folder"):
        fetched.bring_back(place.address, tmp_path / "back")
    assert not (tmp_path / "back").exists()


def test_a_place_is_refused_where_another_study_lies_or_another_head_has_gone_on(
    address: str, tmp_path: Path
) -> None:
    check_place(address, MINE, None)  # nothing lies there
    folder = write_study(tmp_path / "mine", runs=STUDY["runs"])
    publish(folder, address)
    check_place(address, MINE, record(STUDY))
    with pytest.raises(ValueError, match=r"--publish must lead where no other study .*process 7"):
        check_place(address, MINE, None)
    other = {"runs": [{**STUDY["runs"][0], "started_at": "2026-05-05T12:00:00+00:00"}]}
    with pytest.raises(ValueError, match="--publish must lead where no other study"):
        check_place(address, MINE, record(other))
    publish(folder, address, LATER)
    with pytest.raises(ValueError, match=r"process 9 on other, .* has gone on with"):
        check_place(address, MINE, record(STUDY))


@pytest.mark.parametrize(
    ("publish_to", "message"),
    [
        ("file:///results", "--publish must lead elsewhere than --results-dir"),
        ("nowhere://bucket/x", "cannot open nowhere://bucket/x/mine: Protocol not known"),
        ("s3://key:***@bucket/x", "give the whole address again, with --publish"),
        ("file:///proc/nobody", "publish must name what can be written, but file:///proc/nobody"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_in_one_line(
    publish_to: str, message: str
) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$") as caught:
        check_place(publish_to, MINE, None)
    assert message in str(caught.value)


def test_no_bucket_is_made_for_a_study() -> None:
    with s3_bucket("bucket"):
        with pytest.raises(ValueError, match=r"s3://bukket/x/mine cannot: there is no bukket$"):
            check_place("s3://bukket/x", MINE, None)
        assert fsspec.filesystem("s3").ls("") == ["bucket"]


def test_status_says_of_a_published_study_that_it_runs_and_later_how_to_go_on(
    address: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = publish(write_study(tmp_path / "mine", runs=STUDY["runs"]), address)
    assert status.main([place.address, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["state"], found["driver"]["host"], found["driver"]["pid"]) == (
        "running",
        "head",
        7,
    )
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 600)
    assert status.main([place.address, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["state"] == "interrupted"
    assert found["resume_command"].endswith(f"--resume {place.address}")


def test_a_study_that_is_not_there_is_one_line_and_an_address_is_nothing_to_clean(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([f"{address}/mine"]) == 2
    assert "a study must lie at" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        clean([f"{address}/mine"])
    assert "must be a folder here" in capsys.readouterr().err


def test_what_is_there_is_not_written_over(address: str, tmp_path: Path) -> None:
    folder = write_study(tmp_path / "mine", runs=STUDY["runs"])
    place = publish(folder, address)
    with pytest.raises(ValueError, match=r"must make a new folder, but .* exists"):
        fetched.bring_back(place.address, folder)
