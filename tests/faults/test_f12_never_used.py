"""A study goes on where only what it never used has changed, and says so."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from in_process import NO_FAULTS, Driver, Moments
from made_up_inputs import add_family, image_folder, weights_file
from PIL import Image

from orchestrator.results import files
from orchestrator.run.finals_phase import LostInputError
from orchestrator.verify.runner import verify

SMALL = {**dict.fromkeys(("trials", "epochs"), 2), "grace_period": 1, "seeds": 1}
pytestmark = pytest.mark.usefixtures("curve_family")


@dataclass
class Then(Moments):
    """Does something once, at the first moment of a kind; then the driver may be killed."""

    at: str = ""
    do: Callable[[], Any] = lambda: None
    kills: bool = False

    def pass_one(self, what: str) -> None:
        if what.startswith(self.at) and not any(seen.startswith(self.at) for seen in self.seen):
            self.do()
            self.kill_at = self.passed + 1 if self.kills else None
        super().pass_one(what)


def killed(at: str) -> Moments:
    """The driver is killed at the first moment of a kind."""
    return Then(at=at, kills=True)


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A study of own images, in parts."""
    data_dir = str(image_folder(tmp_path / "images"))
    settings = {**SMALL, "dataset": "folder", "data_dir": data_dir}
    return Driver(tmp_path / "results", monkeypatch, settings)


@pytest.fixture
def image(tmp_path: Path, driver: Driver) -> Path:
    """An image of its test part."""
    del driver
    return tmp_path / "images" / "test" / "dark" / "01.png"


def study_json(driver: Driver) -> dict[str, Any]:
    return files.read_study(driver.folder).raw


def events(driver: Driver, kind: str) -> list[str]:
    rows = files.read_table(driver.folder, "events").to_pylist()
    return [row["detail"] for row in rows if row["kind"] == kind]


def refused(driver: Driver, what: str, **given: Any) -> str:
    """The line for which it does not go on."""
    with pytest.raises(ValueError, match=re.escape(what)) as caught:
        driver.resume(**given)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def another_image(path: Path, colour: str = "red") -> None:
    Image.new("RGB", (8, 8), colour).save(path)


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


def test_a_test_image_that_breaks_during_the_search_ends_the_study_in_one_line_with_all_it_found(
    driver: Driver, image: Path
) -> None:
    with pytest.raises(LostInputError) as caught:
        driver.start(Then(at="end curve-000", do=lambda: truncate(image)))
    assert str(image) in str(caught.value)
    assert "\n" not in str(caught.value)
    go_on = f"python -m orchestrator.study --resume mine --results-dir {driver.results_dir}"
    assert str(caught.value).endswith(go_on)
    study = study_json(driver)
    assert (study["outcome"], study.get("test_openings", 0)) == ("failed", 0)
    assert set(study["choice"]) == {"curve"}
    trials = files.read_table(driver.folder, "trials").to_pylist()
    assert [trial["epochs_run"] for trial in trials if trial["status"] == "completed"] != []
    assert "running" not in {trial["status"] for trial in trials}
    assert events(driver, "test_opened") == []


@pytest.mark.parametrize("change", [another_image, Path.unlink, None])
def test_it_goes_on_once_that_image_is_replaced_removed_or_as_it_was(
    change: Callable[[Path], None] | None, driver: Driver, image: Path
) -> None:
    whole = image.read_bytes()
    with pytest.raises(LostInputError):
        driver.start(Then(at="end curve-000", do=lambda: truncate(image)))
    refused(driver, f"cannot decode the image {image}")
    before = files.read_table(driver.folder, "epochs").num_rows
    if change is None:
        image.write_bytes(whole)
    else:
        change(image)
    assert driver.resume()
    assert verify(driver.folder, sources=True).problems == []
    assert files.read_table(driver.folder, "epochs").num_rows == before
    said = events(driver, "data_changed")
    if change is None:
        assert said == []
    else:
        (detail,) = said
        assert detail.startswith("of the test part, which had not been opened: test/dark/01.png: ")
        assert detail.endswith(
            f" -> {study_json(driver)['dataset']['files'].get('test/dark/01.png')}"
        )
    assert study_json(driver)["test_openings"] == 1


def test_what_is_other_in_the_training_part_is_refused_though_the_test_part_may_change(
    driver: Driver, image: Path, tmp_path: Path
) -> None:
    assert driver.start(killed("end curve-000")) is None
    another_image(image)
    another_image(tmp_path / "images" / "train" / "dark" / "01.png", "blue")
    refused(driver, "SHA-256 of the data file train/dark/01.png must stay")


def test_once_the_test_part_was_opened_no_image_of_it_may_be_another(
    driver: Driver, image: Path
) -> None:
    driver.slots = 1  # no slot is idle, so finals begin once the test part was opened
    assert driver.start(killed("propose curve-baseline")) is None
    another_image(image)
    refused(driver, "SHA-256 of the data file test/dark/01.png must stay")


def test_an_image_that_breaks_once_the_test_part_was_opened_is_to_be_restored(
    driver: Driver, image: Path
) -> None:
    driver.slots = 1  # no slot is idle, so finals begin once the test part was opened
    assert driver.start(killed("propose curve-baseline")) is None
    whole = image.read_bytes()
    with pytest.raises(LostInputError, match="so restore it as it was and go on"):
        driver.resume(Then(at="write", do=lambda: truncate(image)))
    image.write_bytes(whole)
    assert driver.resume()


@pytest.mark.parametrize("table", ["events", "epochs"])
def test_where_a_table_that_says_what_was_used_is_damaged_all_of_it_was(
    table: str, driver: Driver, image: Path
) -> None:
    assert driver.start(killed("report curve-000 2")) is None
    (driver.folder / f"{table}.parquet").write_bytes(b"half")
    another_image(image)
    refused(driver, "SHA-256 of the data file test/dark/01.png must stay")


def without_parts(driver: Driver) -> None:
    """Makes the study one of a version that did not record which files are of the test part."""
    content = study_json(driver)
    del content["dataset"]["test_files"]
    (driver.folder / "study.json").write_text(json.dumps(content))


def test_a_study_from_before_the_parts_were_recorded_goes_on_with_an_image_replaced(
    driver: Driver, image: Path
) -> None:
    assert driver.start(killed("end curve-000")) is None
    without_parts(driver)
    another_image(image)
    assert driver.resume()
    assert len(events(driver, "data_changed")) == 1


def test_a_study_from_before_the_parts_were_recorded_is_refused_where_a_name_is_gone(
    driver: Driver, image: Path
) -> None:
    assert driver.start(killed("end curve-000")) is None
    without_parts(driver)
    image.unlink()
    refused(driver, "SHA-256 of the data file test/dark/01.png must stay")


def test_where_no_folder_says_what_the_test_part_is_an_image_of_it_may_be_replaced_but_not_go(
    driver: Driver, tmp_path: Path
) -> None:
    shutil.move(tmp_path / "images" / "train", tmp_path / "flat")
    driver.settings = {**driver.settings, "data_dir": str(tmp_path / "flat")}
    assert driver.start(killed("end curve-000")) is None
    name = study_json(driver)["dataset"]["test_files"][0]
    image = tmp_path / "flat" / name
    whole = image.read_bytes()
    image.unlink()
    line = refused(driver, "the part of the data file ")
    assert f"restore {name}, or put another image in its place" in line
    image.write_bytes(whole)
    another_image(image)
    assert driver.resume()
    assert verify(driver.folder, sources=True).problems == []


@pytest.fixture
def with_weights(driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """A study with a second family, which begins with weights."""
    add_family(tmp_path / "families", monkeypatch, "pretrained", pretrained=True)
    weights = str(weights_file(tmp_path / "weights.safetensors"))
    driver.settings = {**driver.settings, "families": "curve,pretrained", "weights": weights}
    driver.assignments = (*NO_FAULTS, "space.pretrained.fault=none")
    driver.slots = 1
    return driver


def test_weights_may_be_others_until_a_family_has_an_epoch_from_them(
    with_weights: Driver, tmp_path: Path
) -> None:
    assert with_weights.start(killed("report pretrained-000 1")) is None
    shutil.rmtree(with_weights.folder / "checkpoints" / "pretrained-000")
    then = study_json(with_weights)["weights"]["sha256"]
    other = str(weights_file(tmp_path / "other.safetensors", 1.0))
    assert with_weights.resume(weights=other)
    now = study_json(with_weights)["weights"]["sha256"]
    assert events(with_weights, "weights_changed") == [
        f"no epoch rests on them: SHA-256 {then} -> {now}"
    ]
    assert then != now
    assert verify(with_weights.folder, sources=True).problems == []


@pytest.mark.parametrize("moment", ["report pretrained-000 1", "report pretrained-000 2"])
def test_weights_must_stay_once_an_epoch_rests_on_them_be_it_in_a_checkpoint_alone(
    moment: str, with_weights: Driver, tmp_path: Path
) -> None:
    assert with_weights.start(killed(moment)) is None
    other = str(weights_file(tmp_path / "other.safetensors", 1.0))
    refused(with_weights, "SHA-256 of the weights must stay", weights=other)


def test_weights_must_stay_where_the_search_has_learned_from_trials_that_began_with_them(
    with_weights: Driver, tmp_path: Path
) -> None:
    assert with_weights.start()
    settings = {**with_weights.settings, "warm_start": str(with_weights.folder)}
    learning = Driver(
        with_weights.results_dir,
        with_weights.monkeypatch,
        settings,
        with_weights.assignments,
        name="learning",
    )
    assert learning.start(killed("propose")) is None
    other = str(weights_file(tmp_path / "other.safetensors", 1.0))
    refused(learning, "SHA-256 of the weights must stay", weights=other)
