"""F10, F11: whatever of a killed study is cut, empty or strange, resuming goes on or refuses."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from in_process import Driver, Moments

from orchestrator.results import files
from orchestrator.results.lock import LEASE, holding
from orchestrator.results.states import MAY_WIN
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")
SETTINGS = {"trials": 4, "epochs": 4, "grace_period": 2, "seeds": 1}


@pytest.fixture
def killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A study whose driver was killed in the search, with two trials that have checkpoints."""
    driver = Driver(tmp_path, monkeypatch, SETTINGS)
    driver.writes = 1.0
    moments = Moments(kill_at=60)
    assert driver.start(moments) is None
    assert list(driver.folder.glob("checkpoints/*/epoch-*.json"))
    return driver


def _kinds(driver: Driver) -> set[str]:
    return set(files.read_table(driver.folder, "events")["kind"].to_pylist())


def _claims(folder: Path) -> list[Path]:
    return sorted(folder.glob("checkpoints/*/attempt.json"))


def _empty_claim(folder: Path) -> None:
    _claims(folder)[0].write_bytes(b"")


def _cut_claim(folder: Path) -> None:
    path = _claims(folder)[-1]
    path.write_bytes(path.read_bytes()[:20])


def _claim_of_another(folder: Path) -> None:
    shutil.copy(_claims(folder)[0], _claims(folder)[-1])


def _cut_epochs(folder: Path) -> None:
    path = folder / "epochs.parquet"
    path.write_bytes(path.read_bytes()[:-300])


def _empty_rungs(folder: Path) -> None:
    (folder / "rungs.parquet").write_bytes(b"")


def _folder_for_a_table(folder: Path) -> None:
    (folder / "events.parquet").unlink()
    (folder / "events.parquet").mkdir()


def _no_checkpoint_is_intact(folder: Path) -> None:
    gone, *others = sorted({path.parent for path in folder.glob("checkpoints/*/epoch-*.pt")})
    shutil.rmtree(gone)
    for path in (path for other in others for path in other.glob("epoch-*.pt")):
        path.write_bytes(b"")


def _strays(folder: Path) -> None:
    (folder / "checkpoints" / ".DS_Store").write_bytes(b"x")
    (folder / "checkpoints" / "lost+found").mkdir()
    (folder / "desktop.ini").write_bytes(b"")


@pytest.mark.parametrize(
    ("damage", "kind"),
    [
        (_empty_claim, "claim_damaged"),
        (_cut_claim, "claim_damaged"),
        (_claim_of_another, "claim_damaged"),
        (_cut_epochs, "table_damaged"),
        (_empty_rungs, "table_damaged"),
        (_folder_for_a_table, "table_damaged"),
        (_no_checkpoint_is_intact, "checkpoints_lost"),
        (_strays, "stray_file"),
    ],
)
def test_a_damaged_file_counts_as_missing_with_an_event_and_the_study_goes_on(
    damage: Callable[[Path], None], kind: str, killed: Driver
) -> None:
    before = set(files.read_table(killed.folder, "trials")["trial_id"].to_pylist())
    damage(killed.folder)
    assert killed.resume()
    assert kind in _kinds(killed)
    assert before <= set(files.read_table(killed.folder, "trials")["trial_id"].to_pylist())
    assert verify(killed.folder, sources=False).problems == []
    assert set(files.read_table(killed.folder, "trials")["status"].to_pylist()) <= MAY_WIN


def test_an_empty_claim_of_a_trial_with_a_checkpoint_loses_nothing(killed: Driver) -> None:
    (path,) = _claims(killed.folder)[:1]
    known = path.parent.name
    attempts = {
        row["trial_id"]: row["attempts"]
        for row in files.read_table(killed.folder, "trials").to_pylist()
    }
    path.write_bytes(b"")
    assert killed.resume()
    row = next(
        row
        for row in files.read_table(killed.folder, "trials").to_pylist()
        if row["trial_id"] == known
    )
    assert row["attempts"] == attempts[known] + 1


@pytest.mark.parametrize("name", ["predictions", "final", "final_epochs"])
def test_finals_that_lost_a_table_are_trained_again_with_an_event(
    name: str, finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, name=finished_study.name)
    shutil.copytree(finished_study, driver.folder)
    path = driver.folder / f"{name}.parquet"
    path.write_bytes(path.read_bytes()[:100])
    driver.resume()
    assert {"table_damaged", "final_restarted"} <= _kinds(driver)
    assert verify(driver.folder, sources=False).problems == []
    assert (driver.folder / f"{name}.parquet.damaged-1").stat().st_size == 100


def test_a_winner_without_weights_is_trained_again_alone(
    finished_study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(tmp_path, monkeypatch, name=finished_study.name)
    shutil.copytree(finished_study, driver.folder)
    shutil.rmtree(driver.folder / "winners")
    assert driver.resume()
    events = files.read_table(driver.folder, "events").to_pylist()
    (restarted,) = [row["detail"] for row in events if row["kind"] == "final_restarted"]
    assert restarted.endswith(": its weights are lost")
    assert verify(driver.folder, sources=False).problems == []


def test_what_is_nowhere_else_is_refused_in_a_line_and_left_as_it_is(killed: Driver) -> None:
    for name, rule in (("trials.parquet", "restore it"), ("study.json", "nowhere else")):
        path = killed.folder / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(ValueError, match=rule) as caught:
            killed.resume()
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == whole[: len(whole) // 2]
        path.write_bytes(whole)
    assert killed.resume()


def test_an_empty_lease_names_nobody_and_is_taken_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestrator.results.lock.DAMAGED_SECONDS", 0.0)
    (tmp_path / LEASE).write_bytes(b"")
    with holding(tmp_path) as hold:
        assert "named no driver" in hold.damage
    with holding(tmp_path) as hold:
        assert hold.damage == ""
