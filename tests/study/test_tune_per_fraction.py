"""Tuned per fraction: each share of the training images has a search and a winner of its own."""

import json
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from family_search import make_search
from in_process import CURVE, Driver, Moments
from made_up_inputs import FAMILIES
from made_up_trials import row_of
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from rich.console import Console

from orchestrator.config.searches import list_searches, search_for
from orchestrator.config.sources import resolve
from orchestrator.plan.preflight import check_new
from orchestrator.results.files import read_study
from orchestrator.status import study_status as status
from orchestrator.study import main
from orchestrator.track.to_optuna import write_journal
from orchestrator.trials.recorder import Recorder
from orchestrator.verify.runner import verify

FRACTIONS = (0.1, 0.5, 1.0)
TUNED = {
    "trials": 4,
    "epochs": 3,
    "grace_period": 1,
    "seeds": 1,
    "train_fractions": FRACTIONS,
    "tune_per_fraction": True,
}
SEARCHES = ["curve", "curve-f0.5", "curve-f0.1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose driver was killed in the search and in the finals."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STUDY_FAMILY_PATH", str(FAMILIES))
        driver = Driver(tmp_path_factory.mktemp("tuned"), patch, TUNED)
        assert driver.start(Moments(kill_at=40)) is None
        assert driver.resume(Moments(kill_at=70)) is None
        assert driver.resume()
        return driver.folder


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(folder / f"{name}.parquet")


def study_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "study.json").read_text())
    return content


def test_the_largest_share_is_searched_under_the_familys_name() -> None:
    searches = list_searches(["a", "b"], [0.1, 1.0], per_fraction=True)
    assert [(s.name, s.train_fraction) for s in searches] == [
        ("a", 1.0),
        ("a-f0.1", 0.1),
        ("b", 1.0),
        ("b-f0.1", 0.1),
    ]
    assert [s.name for s in list_searches(["a"], [0.1, 1.0], per_fraction=False)] == ["a"]


def test_a_share_without_a_search_of_its_own_rests_on_the_familys_one() -> None:
    one = list_searches(["a", "b"], [0.1, 1.0], per_fraction=False)
    assert search_for(one, "b", 0.1).name == "b"
    each = list_searches(["a", "b"], [0.1, 1.0], per_fraction=True)
    assert search_for(each, "b", 0.1).name == "b-f0.1"


def test_each_search_has_its_baseline_its_trials_and_its_own_optuna_study(
    recorder: Recorder,
) -> None:
    search = make_search(recorder, trials=2, fractions=(0.1, 1.0))
    configs: list[Any] = [search.suggest(f"tune-{number}") for number in range(8)]
    assert sorted((c["trial_id"], c["role"], c["train_fraction"]) for c in configs) == sorted(
        (f"{family}{suffix}-{number:03d}", role, share)
        for family in ("cnn", "resnet50_scratch")
        for suffix, share in (("", 1.0), ("-f0.1", 0.1))
        for number, role in enumerate(("baseline", "search"))
    )
    assert {name: len(study.trials) for name, study in search.studies.items()} == dict.fromkeys(
        ("cnn", "cnn-f0.1", "resnet50_scratch", "resnet50_scratch-f0.1"), 2
    )
    assert len({config["seed"] for config in configs}) == 8


def test_families_take_turns_and_so_do_the_shares_of_one(recorder: Recorder) -> None:
    search = make_search(recorder, trials=2, fractions=(0.1, 1.0))
    configs: list[Any] = [search.suggest(f"tune-{number}") for number in range(4)]
    order = [config["trial_id"] for config in configs]
    assert order == ["cnn-000", "resnet50_scratch-000", "cnn-f0.1-000", "resnet50_scratch-f0.1-000"]


def test_an_ended_trial_is_told_to_its_own_search(recorder: Recorder) -> None:
    search = make_search(recorder, trials=1, fractions=(0.1, 1.0))
    for _ in range(4):
        config = search.suggest("tune")
        assert isinstance(config, dict)
        for epoch in (1, 2, 3):
            recorder.epoch(config["trial_id"], row_of(epoch, 0.1 * config["train_fraction"]))
        search.on_trial_complete("tune", {"epoch": 3})
    assert search.studies["cnn"].best_value == pytest.approx(0.1)
    assert search.studies["cnn-f0.1"].best_value == pytest.approx(0.01)


def test_a_study_killed_twice_is_sound_and_has_all_trials_of_all_searches(finished: Path) -> None:
    assert verify(finished, sources=False).problems == []
    trials = read(finished, "trials")
    assert sorted(trials.trial_id) == sorted(f"{s}-{n:03d}" for s in SEARCHES for n in range(4))
    shares = trials.groupby(trials.trial_id.str.rsplit("-", n=1).str[0]).train_fraction
    assert shares.unique().map(list).to_dict() == {
        "curve": [1.0],
        "curve-f0.5": [0.5],
        "curve-f0.1": [0.1],
    }


def test_rungs_hold_the_trials_of_one_search_against_each_other_alone(finished: Path) -> None:
    rungs = read(finished, "rungs").sort_values("sequence")
    first = rungs[rungs.rung == 1].groupby(rungs.trial_id.str.rsplit("-", n=1).str[0]).head(1)
    assert len(first) == len(SEARCHES)
    assert first.cutoff.isna().all()  # the first to arrive at a rung meets no cut-off


def test_each_share_is_re_trained_with_the_winner_of_its_own_search(finished: Path) -> None:
    choice, final = study_of(finished)["choice"], read(finished, "final")
    assert sorted(choice) == sorted(SEARCHES)
    assert len({json.dumps(chosen["params"]) for chosen in choice.values()}) > 1
    for row in final[final.role == "tuned"].itertuples():
        name = "curve" if row.train_fraction == 1 else f"curve-f{row.train_fraction:g}"
        assert json.loads(row.params_json) == choice[name]["params"]
        assert choice[name]["trial_id"].rpartition("-")[0] == name
    assert sorted(final[final.role == "tuned"].train_fraction) == list(FRACTIONS)


def test_the_comparison_says_so_and_shows_each_search(finished: Path) -> None:
    text = (finished / "comparison.md").read_text()
    assert "chosen at each number of images by a search of its own" in text
    assert "chosen with the most images" not in text
    for name, chosen in study_of(finished)["choice"].items():
        flag = f"{name}: the search found nothing better than the baseline."
        assert (flag in text) == chosen["baseline_won"]
    assert "curve-f0.5: the search found nothing" in text
    trials = read(finished, "trials")
    section = text.partition("## What each family was given")[2].partition("\n## ")[0]
    for name in SEARCHES:
        own = trials[trials.trial_id.str.rpartition("-")[0] == name]
        assert f"| {name} | {len(own)} | {own.epochs_run.sum()} |" in section


def test_the_status_counts_the_trials_of_all_searches(finished: Path) -> None:
    (family,) = status.read_status(finished, now=0.0).families
    trials = read(finished, "trials")
    assert family.trials == len(trials) == 12
    at_largest = trials[trials.train_fraction == 1]
    assert family.best_validation_accuracy == at_largest.validation_accuracy.max()


def test_the_journal_has_an_optuna_study_per_search(finished: Path, tmp_path: Path) -> None:
    write_journal(finished, read_study(finished), tmp_path / "journal.log")
    storage = JournalStorage(JournalFileBackend(str(tmp_path / "journal.log")))
    names = optuna.get_all_study_names(storage)
    assert sorted(names) == sorted(SEARCHES)
    assert all(len(optuna.load_study(study_name=n, storage=storage).trials) == 4 for n in names)


def test_the_plan_says_what_it_costs(capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--families", "cnn", "--dataset", "digits", "--trials", "10", "--epochs", "10"]
    fractions = ["--train-fractions", "0.1,0.3,1.0", "--tune-per-fraction"]
    assert main([*flags, *fractions, "--dry-run"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "3 searches in place of 1" in said
    assert "up to as much as 40 epochs at the largest" in said  # (0.1 + 0.3) x 10 x 10
    assert "Search: 30 trials" in said


def test_a_single_share_has_nothing_to_be_tuned_at() -> None:
    with pytest.raises(ValueError, match="two train_fractions or more, but got"):
        resolve({"tune_per_fraction": True}, config=None, assignments=[])


@pytest.mark.usefixtures("curve_family")
@pytest.mark.parametrize(("per_fraction", "learned"), [(True, SEARCHES), (False, ["curve"])])
def test_another_study_learns_from_the_searches_that_it_has_too(
    finished: Path, tmp_path: Path, per_fraction: bool, learned: list[str]
) -> None:
    given = {**CURVE, **TUNED, "tune_per_fraction": per_fraction, "warm_start": str(finished)}
    settings = resolve({**given, "results_dir": str(tmp_path)}, config=None, assignments=[])
    warm = check_new(settings, Console(quiet=True)).warm_start
    assert warm is not None
    trials = warm.trials.to_pandas()
    assert set(trials.trial_id.str.rpartition("-")[0]) == set(learned)
    ended = read(finished, "trials").status.isin(["completed", "stopped", "diverged"]).sum()
    assert warm.left_out == 12 - len(trials)
    assert not per_fraction or len(trials) == ended


@pytest.mark.usefixtures("curve_family")
def test_a_study_stays_tuned_per_fraction_when_it_is_resumed(finished: Path) -> None:
    driver = Driver(finished.parent, pytest.MonkeyPatch(), TUNED, name=finished.name)
    with pytest.raises(ValueError, match=r"tune_per_fraction must stay .* was True and is False"):
        driver.resume(tune_per_fraction=False)
