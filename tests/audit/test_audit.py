"""An audit names each planted sin, accuses no clean study, and leaves open what no file tells."""

import contextlib
import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from foreign_studies import (
    CLEAN,
    PLANTED,
    Foreign,
    all_tested,
    finals,
    measured,
    search,
    write_csv,
    write_optuna,
    write_ray,
)
from printed_json import printed_json

from orchestrator.audit import read_optuna
from orchestrator.audit.__main__ import main
from orchestrator.audit.test_use import CHOSEN_BY_TEST, DURING_SEARCH

CSV_TIMES = 2
IN_JOURNALS = (
    *("weak trials were stopped early", "losses", "some trials failed"),
    *("the baseline was cut short", "validation is test"),
)
"""What another format may change; `benchmarks/audit.py` has all in each."""


def json_of(path: Path, *arguments: str) -> dict[str, Any]:
    """What the command prints; its exit code must fit."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        code = main([str(path), *arguments, "--json"])
    found: dict[str, Any] = json.loads(printed.getvalue())
    assert code == any(each["verdict"] == "sin" for each in found["findings"])
    return found


def sins_of(path: Path, arguments: Sequence[str] = ()) -> frozenset[str]:
    """The sins that the command names."""
    findings = json_of(path, *arguments)["findings"]
    sins = frozenset(each["name"] for each in findings if each["verdict"] == "sin")
    assert all(each["evidence"] for each in findings if each["verdict"] == "sin")
    return sins


def claims_of(path: Path, *arguments: str) -> dict[str, str]:
    claims = json_of(path, *arguments)["claims"]
    return {each["claim"]: each["standing"] for each in claims}


@pytest.mark.parametrize("name", [*CLEAN, *PLANTED])
def test_a_csv_file_has_the_sins_that_were_planted_and_no_other(name: str, tmp_path: Path) -> None:
    for seed in range(CSV_TIMES):
        study = {**CLEAN, **PLANTED}[name](np.random.default_rng(seed))
        path = write_csv(study, tmp_path / "trials.csv")
        assert sins_of(path, study.arguments) == study.sins, seed


@pytest.mark.parametrize("name", IN_JOURNALS)
def test_a_journal_of_optunas_has_the_sins_that_were_planted_and_no_other(
    name: str, tmp_path: Path
) -> None:
    study = {**CLEAN, **PLANTED}[name](np.random.default_rng(1))
    path = write_optuna(study, tmp_path / "journal.log")
    before = path.read_bytes()
    assert sins_of(path, study.arguments) == study.sins
    assert path.read_bytes() == before


def test_a_database_of_optunas_is_read_and_stays_as_it_is(tmp_path: Path) -> None:
    study = PLANTED["the objective is test"](np.random.default_rng(1))
    study.rows = study.rows[:6]
    path = write_optuna(study, tmp_path / "study.db")
    before = path.read_bytes()
    tmp_path.chmod(0o500)
    assert sins_of(path, study.arguments) == study.sins
    tmp_path.chmod(0o700)
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["study.db"]


def test_studies_of_one_file_are_its_groups(tmp_path: Path) -> None:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    path = tmp_path / "two.log"
    storage = JournalStorage(JournalFileBackend(str(path)))
    sampler = optuna.samplers.RandomSampler(seed=0)
    for name, trials in (("few", 4), ("many", 24)):
        study = optuna.create_study(
            study_name=name, storage=storage, direction="maximize", sampler=sampler
        )
        level = 0.1 * (name == "many")
        study.optimize(lambda t, level=level: level + t.suggest_float("x", 0, 0.1), trials)
    assert sins_of(path) == {"unequal number of trials"}
    assert sins_of(path, ["--study", "many"]) == frozenset()


def test_ray_tune_is_read_as_it_writes_its_folders(ray_results: Path) -> None:
    folders = sorted(ray_results.iterdir())
    assert [folder.name for folder in folders] == ["clean", "planted"]
    assert [sins_of(folder) for folder in folders] == [frozenset(), {DURING_SEARCH}]
    (folders[1] / "experiment_state-2000-01-01_00-00-00.json").write_text("{}")
    assert sins_of(folders[1]) == {DURING_SEARCH}  # the newest snapshot counts
    for path in folders[1].glob("*/result.json"):
        path.unlink()
    assert sins_of(folders[1]) == {DURING_SEARCH}  # from progress.csv


@pytest.mark.cluster
def test_ray_tune_is_read_as_the_installed_one_writes(
    tmp_path: Path, shared_cluster: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray

    monkeypatch.setenv("RAY_AIR_NEW_OUTPUT", "0")
    ray.init(address=shared_cluster, log_to_driver=False)
    try:
        random = np.random.default_rng(0)
        rows = search(random, sizes=(4, 1))
        for row in rows:
            row["epochs"] = 2
            measured(random, row)
        folder = write_ray(Foreign(all_tested(rows)), tmp_path / "mine")
    finally:
        ray.shutdown()
    found = json_of(folder)
    assert (found["trials"], found["usable_trials"]) == (5, 5)
    assert {each["group"]: each["epochs"] for each in found["effort"]} == {"cnn": 8, "resnet": 2}
    assert sins_of(folder) == {DURING_SEARCH}


@pytest.fixture
def ray_results(tmp_path: Path) -> Path:
    """Folders that Ray Tune 2.60 wrote, see `stored/README.md`; to be changed."""
    copy = tmp_path / "ray"
    shutil.copytree(Path(__file__).parent / "stored", copy, ignore=lambda *_: ["README.md"])
    return copy


def test_folds_of_scikit_learn_are_no_test_set(tmp_path: Path) -> None:
    import pandas as pd
    from sklearn.datasets import load_digits
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import GridSearchCV

    images, labels = load_digits(return_X_y=True)
    grid = GridSearchCV(RidgeClassifier(), {"alpha": [0.1, 1.0, 10.0, 100.0]}, cv=3)
    grid.fit(images[:300], labels[:300])
    pd.DataFrame(grid.cv_results_).to_csv(tmp_path / "grid.csv", index=False)
    assert sins_of(tmp_path / "grid.csv") == frozenset()


def test_repeated_trainings_support_a_claim_and_single_ones_speak_of_themselves(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    random = np.random.default_rng(3)
    rows = search(random, gap=0.08)
    path = write_csv(Foreign([*rows, *finals(random, rows, 3)]), tmp_path / "three.csv")
    assert claims_of(path)["resnet is better than cnn"] == "supported"
    path = write_csv(Foreign([*rows, *finals(random, rows, 1)]), tmp_path / "one.csv")
    assert claims_of(path)["resnet is better than cnn"] == "cannot be told"
    assert claims_of(path, "--test-images", "10000")["resnet is better than cnn"] == "supported"
    main([str(path), "--test-images", "10000"])
    assert "these trained networks only" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("chosen_by", "arguments"),
    [("val_loss", ("--test-metric", "test_acc")), ("value", ("--direction", "minimize"))],
)
def test_more_of_a_test_accuracy_is_better_also_where_trials_were_chosen_by_a_loss(
    chosen_by: str, arguments: tuple[str, ...], tmp_path: Path
) -> None:
    rows = [f"model,seed,learning_rate,{chosen_by},test_acc"]
    for model, accuracy in (("cnn", 0.70), ("resnet", 0.80)):
        rows += [
            f"{model},{i},0.1,{0.99 - accuracy - i / 90},{accuracy + i / 99}" for i in range(4)
        ]
    (tmp_path / "trials.csv").write_text("\n".join(rows))
    claims = claims_of(tmp_path / "trials.csv", *arguments)
    assert claims == {"resnet is better than cnn": "supported"}


@pytest.mark.parametrize("name", ["val", "Top-1 (val)", "dev_result"])
def test_a_number_of_validation_without_a_usual_measure_is_not_taken_for_none(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"learning_rate,eval_batch,{name},test_acc"]
    rows += [f"0.{i},{i},0.{70 + i},0.{60 + i}" for i in range(1, 6)]
    (tmp_path / "trials.csv").write_text("\n".join(rows))
    assert main([str(tmp_path / "trials.csv")]) == 2
    assert f"chosen by, which may be {name}: of validation" in capsys.readouterr().err


def test_a_test_metric_of_another_measure_is_named_and_not_called_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = ["learning_rate,val_loss,test_acc", *(f"0.{i},0.{i},0.{i}" for i in range(1, 6))]
    (tmp_path / "trials.csv").write_text("\n".join(rows))
    assert main([str(tmp_path / "trials.csv"), "--format", "markdown"]) == 0
    assert "Name what is by --test-metric (test_acc)." in capsys.readouterr().out


def test_no_claim_on_test_survives_where_test_was_used_to_choose(tmp_path: Path) -> None:
    study = PLANTED["the objective is test"](np.random.default_rng(0))
    path = write_csv(study, tmp_path / "trials.csv")
    assert CHOSEN_BY_TEST in sins_of(path, study.arguments)
    assert set(claims_of(path, *study.arguments, "--independent").values()) == {"not supported"}


def test_one_search_each_tells_nothing_unless_trials_were_independent(tmp_path: Path) -> None:
    path = write_csv(Foreign(search(np.random.default_rng(0), gap=0.3)), tmp_path / "trials.csv")
    name = "resnet is better than cnn"
    assert claims_of(path)[name] == "cannot be told"
    assert claims_of(path, "--independent")[name] == "supported"


def test_it_prints_80_columns_and_the_answer_last(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    study = PLANTED["the winner had more trials"](np.random.default_rng(0))
    path = write_csv(study, tmp_path / "trials.csv")
    assert main([str(path)]) == 1
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 80
    assert "SIN: unequal number of trials" in printed
    assert printed.splitlines()[-1].startswith("1 sin; of 3 claims")
    assert main([str(path), "--format", "markdown"]) == 1
    markdown = capsys.readouterr().out
    assert markdown.startswith("# Audit of trials.csv\n\n## Answer\n\n- 1 sin; ")
    assert "| claim | by | corrected p | stands |" in markdown


def test_its_json_is_what_the_page_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("winners and baselines on three seeds", "a search alone"):
        path = write_csv(CLEAN[name](np.random.default_rng(0)), tmp_path / "trials.csv")
        images = () if "seeds" in name else ("--validation-images", "5000")
        found = printed_json(capsys, "audit", main, str(path), *images)
        assert found["noise"]["source"] == ("images" if images else "seeds")


def _database(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE mine (x)")
        other.commit()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "PATH must be a file or a folder, but nothing does not exist"),
        (["."], "PATH must be a folder of Ray Tune with trials in it"),
        (["other.db"], "other.db cannot be read: it has no table `studies`"),
        (["empty.csv"], "PATH must be a CSV file with a heading, but empty.csv cannot be read"),
        (["plain.csv"], "--metric must name the column that trials were chosen by, since none of"),
        (["plain.csv", "--metric", "y"], "--metric 'y' must name columns of the trials: a, b"),
        (["good.csv", "--baseline", "zero"], "no trial and no group is called 'zero'"),
        (["good.csv", "--baseline", "x=3"], "--baseline must name hyperparameters of the trials"),
        (["good.csv", "--study", "mine"], "--study must go with a file of Optuna's"),
        (["none.csv"], "a study must have a trial with a result"),
        (["pipe"], "PATH must be a file or a folder, but pipe is neither"),
        (["inf.csv"], "val_accuracy must have finite numbers, but trial 1 of inf.csv has inf"),
        (["1e400.csv"], "val_accuracy must have finite numbers, but trial 1 of 1e400.csv has inf"),
        (["word.csv"], "val_accuracy must have finite numbers, but trial 1 of word.csv has 'word'"),
        (
            ["percent.csv"],
            "val_accuracy must have finite numbers, but trial 0 of percent.csv has '5",
        ),
        (
            ["comma.csv"],
            "val_accuracy must have finite numbers, but trial 0 of comma.csv has '0,50",
        ),
        (
            ["no-value.csv"],
            "val_accuracy must have a value in some trial, but none of the 2 in no-",
        ),
        (
            ["no-value.csv", "--metric", "val_accuracy"],
            "--metric val_accuracy must have a value in some trial",
        ),
        (
            ["no-value.csv", "--metric", "test_accuracy", "--group", "model"],
            "--group model must have a value in some trial",
        ),
        (["epochs.csv"], "PATH must be a CSV file with a heading, but epochs.csv cannot be read:"),
    ],
)
def test_wrong_input_is_one_line_and_exit_2(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    _database(Path("other.db"))
    Path("empty.csv").write_text("")
    Path("plain.csv").write_text("a,b\n1,2\n3,4\n")
    Path("good.csv").write_text("trial,learning_rate,val_accuracy\n0,0.1,0.5\n1,0.2,0.6\n")
    os.mkfifo("pipe")
    for value in ("inf", "1e400", "word"):
        rows = f"trial,learning_rate,val_accuracy\n0,0.1,0.5\n1,0.2,{value}\n2,0.3,0.6\n"
        Path(f"{value}.csv").write_text(rows)
    for name, value in {"percent": "{}%", "comma": '"0,{}"'}.items():  # each of them
        rows = (f"{i},{i},{value.format(i + 50)},0.6" for i in range(3))
        Path(f"{name}.csv").write_text("\n".join(["trial,lr,val_accuracy,test_accuracy", *rows]))
    Path("no-value.csv").write_text(
        "trial,model,learning_rate,val_accuracy,test_accuracy\n0,,0.1,nan,0.5\n1,,0.2,,0.6\n"
    )
    Path("epochs.csv").write_text("trial,epoch,val_accuracy\n0,first,0.5\n0,2,0.6\n")
    Path("none.csv").write_text("trial,learning_rate,val_accuracy,state\n0,0.1,0.5,failed\n")
    assert main(arguments) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert message in line
    assert printed.out == ""


@pytest.fixture(scope="module")
def small_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of Optuna's in SQLite, to be copied."""
    study = CLEAN["one model"](np.random.default_rng(0))
    study.rows = study.rows[:3]
    return write_optuna(study, tmp_path_factory.mktemp("optuna") / "study.db")


def said_of(path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line with which a path is refused."""
    assert main([str(path)]) == 2
    printed = capsys.readouterr()
    (line,) = printed.err.splitlines()
    assert printed.out == ""
    return line


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("update trial_params set distribution_json='{}'", "KeyError: 'type'"),
        ("update trials set state='WEIRD'", "LookupError: 'WEIRD' is not among"),
        ("update trial_values set value=null", "AssertionError:"),
        ("update trials set datetime_start='x'", "Invalid isoformat string: 'x'"),
    ],
)
def test_a_database_with_what_optuna_never_writes_is_refused_in_a_line_that_names_it(
    small_database: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    change: str,
    reason: str,
) -> None:
    path = Path(shutil.copy(small_database, tmp_path / "study.db"))
    with contextlib.closing(sqlite3.connect(path)) as opened:
        opened.execute(change)
        opened.commit()
    line = said_of(path, capsys)
    assert line.startswith(f"audit: PATH must be a file of Optuna's, but {path} cannot be read: ")
    assert reason in line


def test_a_database_that_another_process_has_locked_is_said_to_be_locked(
    small_database: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(read_optuna, "LOCK_SECONDS", 0)
    path = Path(shutil.copy(small_database, tmp_path / "study.db"))
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert said_of(path, capsys).endswith(
            f"but {path} cannot be read: OperationalError: database is locked"
        )
    assert main([str(path)]) == 0


def test_a_database_that_can_be_read_puts_nothing_on_the_error_stream(small_database: Path) -> None:
    command = [sys.executable, "-m", "orchestrator.audit", str(small_database)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("result.json", "[1,2]\n3\nnull\n", "result.json has a line that is no object: [1,2]"),
        ("result.json", "[" * 100_000, "RecursionError: "),
        ("result.json", '{"training_iteration": 1}\n{"training_iteration": "a"}\n', "TypeError: "),
        ("result.json", f'{{"val_accuracy": 1{"0" * 400}}}\n', "OverflowError: "),
        ("params.json", "{", "Expecting property name"),
    ],
)
def test_a_trial_with_what_ray_tune_never_writes_is_refused_in_a_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, content: str, reason: str
) -> None:
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / name).write_text(content)
    line = said_of(tmp_path, capsys)
    assert line.startswith("audit: a trial's folder must hold reports of Ray Tune")
    assert f"but {tmp_path / 't1'} cannot be read: " in line
    assert reason in line


@pytest.mark.parametrize("content", ["[]", '{"trial_data": [3]}', "[" * 100_000])
def test_a_snapshot_that_is_none_of_ray_tunes_is_refused_in_a_line_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (tmp_path / "t1").mkdir()
    (tmp_path / "t1" / "result.json").write_text('{"val_accuracy": 0.5}\n')
    snapshot = tmp_path / "experiment_state-2026-01-01_00-00-00.json"
    snapshot.write_text(content)
    assert f"must be Ray Tune's state of an experiment, but {snapshot} cannot be " in said_of(
        tmp_path, capsys
    )


def test_auditing_imports_neither_torch_nor_ray(tmp_path: Path) -> None:
    path = write_csv(CLEAN["one model"](np.random.default_rng(0)), tmp_path / "trials.csv")
    code = (
        "import sys; from orchestrator.audit.__main__ import main; main(sys.argv[1:]); "
        "sys.exit(bool({'torch', 'ray'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
