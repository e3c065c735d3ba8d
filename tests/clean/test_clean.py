"""What `clean` removes and what it must not touch, on real studies."""

import shutil
from pathlib import Path

import pytest
from in_process import Driver, Moments

from orchestrator.clean import __main__ as command
from orchestrator.results.lock import holding
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")


@pytest.fixture
def finished(finished_study: Path, tmp_path: Path) -> Path:
    """A finished study with what is disposable of one."""
    folder = Path(shutil.copytree(finished_study, tmp_path / "mine"))
    for name in ("tune/search-1/state", "checkpoints/curve-000/epoch-00001.pt"):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_bytes(b"x" * 1000)
    (folder / ".trials.parquet.123").write_bytes(b"x" * 24)
    return folder


def _files(folder: Path) -> set[str]:
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in names if "driver.l" not in name}


def test_of_a_finished_study_nothing_but_what_is_disposable_goes(
    finished: Path, finished_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(finished)
    assert command.main([str(finished), "--dry-run"]) == 0
    assert "2,024 bytes would be removed; nothing was" in capsys.readouterr().out
    assert _files(finished) == before
    assert command.main([str(finished)]) == 0
    assert "2,024 bytes removed" in capsys.readouterr().out
    assert _files(finished) == _files(finished_study)
    assert verify(finished, sources=False).problems == []


def test_the_weights_of_the_winners_other_seeds_go_where_they_are_named(
    finished: Path, finished_study: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seeds = {name for name in _files(finished_study) if name.startswith("winners/curve/seeds/")}
    assert len(seeds) == 2
    size = sum((finished_study / name).stat().st_size for name in seeds)
    assert command.main([str(finished), "--ensemble"]) == 0
    assert f"weights that only ensembles of seeds need: {size:,} bytes" in capsys.readouterr().out
    assert _files(finished) == _files(finished_study) - seeds
    assert verify(finished, sources=False).problems == []


@pytest.mark.parametrize("kill_at", [30, 45, 60, 70])
def test_a_killed_study_resumes_from_what_clean_leaves(
    kill_at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(
        tmp_path, monkeypatch, {"trials": 4, "epochs": 4, "grace_period": 1, "seeds": 1}
    )
    assert driver.start(Moments(kill_at=kill_at)) is None
    assert command.main([str(driver.folder)]) == 0
    assert driver.resume()
    assert verify(driver.folder, sources=False).problems == []


def test_a_study_that_a_driver_holds_is_left_alone(
    finished: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(finished)
    with holding(finished):
        for flags in ([], ["--dry-run"]):
            assert command.main([str(finished), *flags]) == 3
            assert "must have one driver at a time" in capsys.readouterr().err
    assert _files(finished) == before


def test_a_link_that_leads_out_of_the_folder_is_refused_and_what_it_leads_to_stays(
    finished: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    others = tmp_path / "others"
    others.mkdir()
    (others / "keep").write_bytes(b"kept")
    shutil.rmtree(finished / "checkpoints")
    (finished / "checkpoints").symlink_to(others)
    assert command.main([str(finished)]) == 2
    assert "must have no link that leads out of it" in capsys.readouterr().err
    assert (others / "keep").read_bytes() == b"kept"
    assert (finished / "tune").is_dir()


def test_a_folder_that_is_no_study_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tune").mkdir()
    assert command.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["tune"]
