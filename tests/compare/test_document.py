"""A study run in this process: what its comparison says is recomputed from its tables."""

import io
from pathlib import Path

import pytest
from in_process import Driver
from made_up_inputs import FAMILIES
from made_up_study import ComparedStudy
from shown_cells import cells

from orchestrator.terminal import Terminal

SETTINGS = {
    "trials": 9,
    "epochs": 4,
    "grace_period": 1,
    "reduction_factor": 2,
    "seeds": 2,
    "train_fractions": "0.5,1.0",
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        driver = Driver(tmp_path_factory.mktemp("results"), patch, SETTINGS, slots=3)
        driver.console = Terminal(file=io.StringIO(), width=80)
        assert driver.start()
        (driver.folder.parent / "printed.txt").write_text(driver.console.file.getvalue())
        return driver.folder


def test_there_is_no_number_that_is_none(study: Path) -> None:
    text = (study / "comparison.md").read_text(encoding="utf-8").lower()
    assert "nan" not in text
    assert "none" not in text.replace("none in range", "")
    assert "inf" not in text.split()


def test_a_study_whose_families_all_failed_shows_effort_and_no_result() -> None:
    found = cells(ComparedStudy(families=(), failed=("cnn",)).report().sections)
    assert found["effort/choice"] == [("cnn", "0", "2", *["—"] * 8)]
    assert found["effort/given"][0][:2] == ("cnn", "2")
    assert not [key for key in found if key.partition("/")[0] in {"classes", "data", "differences"}]


def test_a_family_that_failed_has_no_curve_and_no_confusion_among_the_others() -> None:
    study = ComparedStudy(families=("cnn",), failed=("vit",), fractions=(0.1, 1.0))
    found = cells(study.report().sections)
    assert [line[3] for line in found["effort/choice"]] == ["cnn-001", "—"]
    assert found["stopping/saved"][0][4:6] == ("35", "35%")
    assert not [
        row for key in found if key.startswith("results") for row in found[key] if "vit" in row[0]
    ]


def test_all_tables_have_the_families_in_the_order_of_the_settings() -> None:
    named = ["cnn", "vit", "resnet50_transfer"]
    # They came to their ends in another one.
    study = ComparedStudy(families=tuple(reversed(named)), settings={"families": named})
    tables = {each.key: each.table for each in study.report().sections}
    named_in = {key: own for key, own in tables.items() if "family" in own and len(own)}
    orders = {key: [*own["family"].unique()] for key, own in named_in.items()}
    assert orders == dict.fromkeys(orders, named)
    assert {"results/1", "stopping/saved", "effort/size", "classes/confusions"} <= orders.keys()


def test_a_study_ends_with_its_paths_and_its_answer(study: Path) -> None:
    printed = (study.parent / "printed.txt").read_text().partition("Comparison of mine\n")[2]
    *_, answer = printed.split("\n\n")
    assert answer.startswith("Nothing to compare: curve alone was tested; tuned, it is right on ")
    *_, paths, _ = (part.splitlines() for part in printed.split("\n\n")[:-1])
    assert paths == [f"Comparison: {study / 'comparison.md'}", f"Results: {study}", paths[2]]
    assert paths[2].startswith("Verified: ")
    assert len(printed.splitlines()) <= 45
