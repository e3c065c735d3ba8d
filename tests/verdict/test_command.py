"""The command from files to its answer, its page, its slices and its exit code."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Run
from made_up_predictions import MadeUpPredictions, write_examples

from orchestrator.verdict.__main__ import main


@pytest.fixture(autouse=True)
def examples(place: Path) -> None:
    """Two models, labels, attributes and images."""
    write_examples(place)


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What is printed, in one line."""
    capsys.readouterr()
    assert main(arguments) == code
    return " ".join(capsys.readouterr().out.split())


def test_two_trained_networks_are_spoken_of_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    said = answer(capsys, "baseline.csv", "candidate.csv")
    assert "Of these trained networks: candidate (" in said
    assert ") is more accurate than baseline (" in said
    assert "nothing is known of training noise" in said
    assert "McNemar's exact" in said


def test_models_of_several_seeds_are_spoken_of_as_models(
    capsys: pytest.CaptureFixture[str], place: Path
) -> None:
    for seed in range(3):
        MadeUpPredictions(images=300, skill=0.7, seed=seed).write(place / f"old-seed{seed}.csv")
    files = [f"{name}-seed{seed}.csv" for name in ("old", "new") for seed in range(3)]
    said = answer(capsys, *files)
    assert "networks" not in said
    assert (
        "as means over 3 trainings; intervals cover the noise of test images and of training"
        in said
    )


@pytest.mark.parametrize(
    ("margin", "code", "said"),
    [
        ("5", 0, "candidate is not worse by more than 5 percentage points than baseline ("),
        ("0.01", 0, "candidate is not worse by more than 0.01 percentage points than baseline ("),
    ],
)
def test_a_margin_that_is_held(
    margin: str, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    files = ("baseline.csv", "candidate.csv", "--baseline", "baseline")
    assert said in answer(capsys, *files, "--margin", margin, code=code)


def test_a_claim_that_is_not_held_is_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    files = ("baseline.csv", "candidate.csv", "--baseline", "candidate")
    assert "it is not shown that baseline is not worse" in answer(
        capsys, *files, "--margin", "1", code=1
    )
    better = answer(capsys, *files, "--claim", "better", code=1)
    assert "it is not shown that baseline is more accurate than candidate (-" in better
    assert "baseline is less accurate than candidate (-" in answer(capsys, *files)


def test_what_was_asked_of_several_is_corrected(verdict: Run) -> None:
    seeds = [f"m{seed}=new-seed{seed}.csv" for seed in range(3)]
    found = verdict("baseline.csv", *seeds, "--baseline", "baseline", "--claim", "better")
    assert [claim["candidate"] for claim in found["claims"]] == ["m0", "m1", "m2"]
    p = sorted(claim["p_value"] for claim in found["claims"])
    assert min(claim["p_value_holm"] for claim in found["claims"]) == pytest.approx(3 * p[0])
    assert (
        "3 of 3 models are shown to be more accurate than baseline" in found["answer"]["headline"]
    )


def test_groups_make_an_interval_wider(verdict: Run) -> None:
    files = ("baseline.csv", "candidate.csv", "--attributes", "attributes.csv")
    alone, grouped = verdict(*files), verdict(*files, "--groups", "patient")
    assert (alone["groups"], grouped["groups"]) == (None, 100)
    assert alone["claims"][0]["difference"] == grouped["claims"][0]["difference"]
    assert alone["pairs"][0]["p_value"] != grouped["pairs"][0]["p_value"]


def test_slices_find_where_a_difference_was_put_and_the_page_shows_it(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = MadeUpPredictions(images=300, skill=0.9)
    worse = made.frame()
    night = np.arange(300) % 4 == 0
    worse.loc[night, "predicted"] = "bee"
    worse = worse.assign(light=np.where(night, "night", "day"))
    worse.drop(columns=[name for name in worse if name.startswith("prob")]).to_csv(
        place / "worse.csv", index=False
    )
    made.write(place / "made.csv")
    flags = ("--images", "images", "--baseline", "made", "--output", "page.html")
    said = answer(capsys, "worse.csv", "made.csv", *flags)
    table = said.partition("Where the difference lives: worse minus made")[2]
    assert "light night 75 -" in table.split("class")[0]
    page = (place / "page.html").read_text(encoding="utf-8")
    assert page.count('alt="Test image image-') > 5
    assert "light night: gained" in page
    assert "cat taken for bee" in page
    assert "<h3>Images that tell the two apart</h3>" in page
    assert "brightness" in page


def test_slices_of_models_that_are_alike_are_not_certain(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (3, 4):
        MadeUpPredictions(images=300, skill=0.7, seed=seed).write(place / f"equal{seed}.csv")
    said = answer(capsys, "equal3.csv", "equal4.csv", "--attributes", "attributes.csv")
    assert "0 of " in said.partition("Where the difference lives")[2]


def test_a_column_that_makes_no_slices_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = pd.read_csv(place / "attributes.csv").assign(site="a")
    table.to_csv(place / "attributes.csv", index=False)
    flags = ("--attributes", "attributes.csv", "--slices", "patient,site,age")
    said = answer(capsys, "baseline.csv", "candidate.csv", *flags)
    assert said.count("no slices, since it has one value or more than 50") == 2


def test_an_evaluation_of_mlflow_is_read_with_the_name_of_its_target(verdict: Run) -> None:
    files = [f"{run}/eval_results_table.json" for run in ("run-1", "run-2")]
    found = verdict(*files, "--columns", "label=digit,image=row")
    assert list(found["models"]) == ["run-1/eval_results_table", "run-2/eval_results_table"]
    assert found["claims"][0]["p_value"] == 1


def test_images_of_which_there_is_no_file_are_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "images" / "image-007.png").unlink()
    (place / "images" / "image-008.png").write_text("no image")
    said = answer(capsys, "baseline.csv", "candidate.csv", "--images", "images")
    assert "1 files are no images that can be read: 'image-008.png'" in said
    assert "Of 1 of 300 images there is no file" in said


def test_a_table_of_attributes_may_lack_images(verdict: Run, place: Path) -> None:
    table = pd.read_csv("attributes.csv")
    table.head(200).to_csv(place / "some.csv", index=False)
    found = verdict("baseline.csv", "candidate.csv", "--attributes", "some.csv")
    assert found["warnings"] == ["some.csv lacks 100 of 300 images."]


def test_it_needs_neither_torch_nor_ray_and_help_answers_without_numpy() -> None:
    code = (
        "import sys; from orchestrator.verdict.__main__ import main\n"
        "early = {'numpy', 'pandas'} & set(sys.modules)\n"
        "ended = main(['baseline.csv', 'candidate.csv', '--slices', 'none'])\n"
        "print(ended, early, {'torch', 'ray'} & set(sys.modules))"
    )
    run = [sys.executable, "-c", code]
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run(
        run, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(root)}
    )
    assert ended.stdout.splitlines()[-1] == "0 set() set()"
