"""F16: a wrong command line or YAML file is answered at once, in one line, and nothing is done."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator import study
from orchestrator.compare import __main__ as compare
from orchestrator.config.sources import resolve

ROOT = Path(__file__).resolve().parents[2]
DIGITS = ["--dataset", "digits", "--families", "cnn"]
MOST_SECONDS = 3.0


@pytest.fixture(autouse=True)
def nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is taken for right must not start Ray: it is the failure of the test."""
    monkeypatch.setattr(study, "_start", lambda *_: pytest.fail("the input was accepted"))


def refusal(arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that a wrong command line is answered with."""
    before = sorted(tmp_path.rglob("*"))
    results = [] if "--results-dir" in arguments else ["--results-dir", str(tmp_path / "results")]
    with pytest.raises(SystemExit) as caught:
        sys.exit(study.main([*DIGITS, *results, *arguments]))
    assert caught.value.code == 2
    assert sorted(tmp_path.rglob("*")) == before
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    return error


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "vgg"], "unknown family 'vgg'; choose from cnn, frozen_features, "),
        (["--families", "cnn,cnn"], "each family must be named once, but got 'cnn,cnn'"),
        (["--families", ""], "families must not be empty"),
        (["--families", "cnn,"], "unknown family ''"),
        (["--dataset", "mnist"], "unknown data set 'mnist'; choose from cifar10, cifar100, digits"),
        (["--preset", "fast"], "unknown preset 'fast'; choose from standard, baseline, demo"),
        (["--epochs", "0"], "epochs must be at least 1, but got 0"),
        (["--epochs", "1.5"], "setting epochs does not take '1.5'"),
        (["--epochs", "nan"], "setting epochs does not take 'nan'"),
        (
            ["--epochs", "3", "--grace-period", "5"],
            "grace_period must be at most epochs, but got grace_period=5, epochs=3",
        ),
        (["--grace-period", "0"], "grace_period must be at least 1, but got 0"),
        (["--reduction-factor", "1"], "reduction_factor must be at least 2, but got 1"),
        (["--trials", "-1"], "trials must be at least 1, but got -1"),
        (["--seeds", "0"], "seeds must be at least 1, but got 0"),
        (["--track", f"optuna={__file__}"], "must name a new file or a journal of Optuna's"),
        (["--track", "optuna=/"], "--track optuna=/ must name a file, but that is none"),
        (["--track", "tensorboard=/proc/none"], "must be writable, but /proc/none is not"),
        (["--track", "mlflow=sqlite:////proc/none/m.db"], "writable, but /proc/none is not"),
        (
            ["--track", "mlflow=localhost:5000"],
            "or in a folder that is there, but got 'localhost:5",
        ),
        (["--track", "mlflow=http://:5000"], "must be at http://HOST:PORT, in a database (sqlite:"),
        (["--track", "mlflow=htp://here"], "but got 'htp://here'"),
        (
            ["--track", "tensorboard=s3://b/runs"],
            "track must have tensorboard=PATH, on this machine, but got",
        ),
        (["--seed", "-1"], "seed must be at least 0, but got -1"),
        (["--train-fractions", "0"], "train_fractions must lie in (0, 1], but got (0.0,)"),
        (["--train-fractions", "0.5,1.1"], "train_fractions must lie in (0, 1]"),
        (
            ["--train-fractions", "nan,1.0"],
            "train_fractions must lie in (0, 1], but got (nan, 1.0)",
        ),
        (["--train-fractions", "0.5,0.50000001"], "train_fractions must name each once"),
        (["--train-fractions", ""], "setting train_fractions does not take ['']"),
        (["--gpus-per-trial", "nan"], "gpus_per_trial must be 0, 1, or a share 1/n such as"),
        (["--gpus-per-trial", "inf"], "gpus_per_trial must be 0, 1, or a share 1/n such as"),
        (["--gpus-per-trial", "-0.5"], "gpus_per_trial must be 0, 1, or a share 1/n such as"),
        (["--gpus-per-trial", "2"], "a trial trains on one GPU at most, but got 2.0"),
        (["--gpus-per-trial", "0.4"], "or a share 1/n such as 0.5, 0.33 or 0.25, since"),
        (["--cpus-per-trial", "0"], "cpus_per_trial must be at least 1, but got 0"),
        (["--max-concurrent", "0"], "max_concurrent must be at least 1, but got 0"),
        (["--address", " "], "address must not be empty, but got ' '"),
        (["--name", ""], "name must not be empty"),
        (["--name", ".."], "name must be the name of a folder, not a path, but got '..'"),
        (["--name", "a/b"], "name must be the name of a folder, not a path, but got 'a/b'"),
        (["--name", "a\nb"], "name must be text without control characters, but got 'a\\nb'"),
        (["--name", "\udcff"], "name must be text without control characters"),
        (["--data-dir", ""], "data_dir must not be empty"),
        (["--publish", "/mnt/copies"], "publish must be an address such as s3://bucket/prefix"),
        (["--publish", "nowhere://copies"], "cannot open nowhere://copies"),
        (["--resume", "s3://bucket"], "--resume of an address must end in the study's name"),
        (["--resume", "memory://bucket/mine"], "a study must lie at memory://bucket/mine"),
        (["--trails", "3"], "unrecognized arguments: --trails 3"),
        (["--epochs"], "argument --epochs: expected one argument"),
        (["stray"], "unrecognized arguments: stray"),
        (["--config", "no/such.yaml"], "--config must be a readable YAML file, but no/such.yaml"),
    ],
)
def test_f16_a_wrong_flag_is_one_line_and_exit_2_and_nothing_is_written(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert message in refusal(arguments, tmp_path, capsys)


@pytest.mark.parametrize(
    ("assignments", "message"),
    [
        (["space.cnn.learning_rate=1e-2..1e-5"], "must have low <= high, but got low=0.01, high"),
        (["space.cnn.learning_rate=nan"], "must lie in 1e-05..0.01 (log), but got 'nan'"),
        (["space.cnn.learning_rate=1e-5..inf"], "must lie in 1e-05..0.01 (log), but got 'inf'"),
        (["space.cnn.learning_rate=.."], "must lie in 1e-05..0.01 (log), but got ''"),
        (["space.cnn.batch_size=-1"], "space.cnn.batch_size must lie in 32, 64, 128, 256, but"),
        (["baseline.cnn.batch_size=-1"], "baseline.cnn.batch_size must lie in 32, 64, 128, 256"),
        (["baseline.cnn.learning_rate=nan"], "must lie in 1e-05..0.01 (log), but got 'nan'"),
        (["space.cnn.batch_size=32,32"], "must name each choice once, but got '32,32'"),
        (["space.cnn.batch_size="], "must lie in 32, 64, 128, 256, but got ''"),
        (["space.cnn.depth=3"], "unknown dimension space.cnn.depth; choose from learning_rate,"),
        (["space.vgg.width=16"], "unknown family 'vgg'; choose from"),
        (["space.cnn=3"], "space must be given as space.<family>.<dimension>"),
        (["space=none"], "space must be given as space.<family>.<dimension>, but got 'none'"),
        (["space.cnn.width.x=16"], "space.cnn.width must lie in 16, 32, 64, but got"),
        (["space.cnn=3", "space.cnn.width=16"], "a value or parts with values, not both"),
        (["space.cnn.width=16", "space.cnn=3"], "a value or parts with values, not both"),
        (["epochs=60", "epochs.x=4"], "a value or parts with values, not both: 'epochs.x=4'"),
        (["epochs"], "--set takes name=value, but got 'epochs'"),
        (["=3"], "unknown setting ''; choose from families,"),
        (["epochz=3"], "unknown setting 'epochz'; choose from families,"),
        (["epochs=none"], "setting epochs does not take None"),
        (["validation_images=0"], "validation_images must be at least 1, but got 0"),
        (["validation_images=99999"], "training images, but is 99,999"),
        (["train_images=99999"], "left after validation), but is 99,999"),
        (["image_size=inf"], "setting image_size does not take 'inf'"),
    ],
)
def test_f16_a_wrong_assignment_is_one_line_and_exit_2_and_nothing_is_written(
    assignments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [part for text in assignments for part in ("--set", text)]
    assert message in refusal(arguments, tmp_path, capsys)


def test_f16_all_wrong_names_and_values_are_one_answer_wherever_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spaces = ["space.cnn.depth=3", "space.vgg.width=16", "baseline.cnn.batch_size=7"]
    said = ["dimension space.cnn.depth", "unknown family 'vgg'", "baseline.cnn.batch_size must"]
    for more, also in (([], []), (["trials=x", "epochz=3"], ["trials does not", "'epochz'"])):
        arguments = [part for text in [*spaces, *more] for part in ("--set", text)]
        answer = refusal(arguments, tmp_path, capsys)
        assert [words for words in (*said, *also) if words not in answer] == []


def test_f16_files_that_settings_name_are_read_before_any_plan_and_said_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = ["--set", f"prices={tmp_path}/a.yaml", "--set", f"pace_from={tmp_path}/b"]
    answer = refusal([*named, "--warm-start", str(tmp_path / "c")], tmp_path, capsys)
    for rule in ("prices must be", "pace_from must name", "--warm-start must name the folder"):
        assert rule in answer


def test_f16_variables_with_which_ray_would_end_or_hang_are_said_before_any_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["ignore", "e", "error:::a_module", "error::UserWarning", "err::DeprecationWarning"]
    monkeypatch.setattr(sys, "warnoptions", options)
    monkeypatch.setenv("RAY_USE_TLS", "1")
    monkeypatch.setenv("RAY_TLS_CA_CERT", __file__)
    answer = refusal([], tmp_path, capsys)
    assert "must not make warnings errors (e, err::DeprecationWarning), by which" in answer
    assert "there is none at RAY_TLS_SERVER_CERT=, RAY_TLS_SERVER_KEY=\n" in answer
    code = "from orchestrator.plan.ray_variables import check_variables; check_variables()"
    command = [sys.executable, "-OO", "-W", "error::DeprecationWarning", "-c", code]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert "ValueError: PYTHONOPTIMIZE=2 and -OO must be left out, by which Ray" in done.stderr
    assert "must not make warnings errors (error::DeprecationWarning), by which" in done.stderr


@pytest.mark.parametrize("field", ["space", "baseline"])
@pytest.mark.parametrize(
    ("text", "message"),
    [("stem=huge", "must lie in imagenet, small"), ("depth=3", "unknown dimension")],
)
def test_f16_what_is_said_of_a_family_that_is_left_out_must_be_right_too(
    field: str, text: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--set", f"{field}.resnet50_scratch.{text}"]
    assert message in refusal(arguments, tmp_path, capsys)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("epochs: [1\n", "must be a readable YAML file"),
        ("epochs: 50\n---\nepochs: 60\n", "must be a readable YAML file"),
        ("epochs: 50\ntrials: 3\nepochs: 60\n", "found 'epochs' twice"),
        ("space: {cnn: {width: 16, width: 32}}\n", "found 'width' twice"),
        ("? [a, b]\n: 2\n", "must be a readable YAML file"),
        ("name: caf\xe9\n".encode("latin-1"), "must be a readable YAML file"),
        ("[" * 3000, "must be a readable YAML file"),
        ("- epochs\n", "must hold settings by name, but"),
        ("[]\n", "holds a list"),
        ("0\n", "holds a int"),
        ("false\n", "holds a bool"),
        ("just text\n", "holds a str"),
        ("epochz: 3\n", "unknown setting 'epochz'; choose from families,"),
        ("1: 2\n", "unknown setting 1; choose from families,"),
        ("epochs: many\n", "setting epochs does not take 'many'"),
        ("epochs: [50]\n", "setting epochs does not take [50]"),
        ("epochs: .nan\n", "setting epochs does not take nan"),
        ("epochs: .inf\n", "setting epochs does not take inf"),
        ("epochs: true\ngrace_period: 1\n", "setting epochs does not take True"),
        ("train_fractions: [true]\n", "setting train_fractions does not take [True]"),
        ("train_fractions: []\n", "train_fractions must lie in (0, 1], but got ()"),
        ("train_fractions: [.nan]\n", "train_fractions must lie in (0, 1], but got (nan,)"),
        ("gpus_per_trial: .inf\n", "gpus_per_trial must be 0, 1, or a share 1/n such as"),
        ("preset: [demo]\n", "unknown preset ['demo']; choose from standard, baseline, demo"),
        ("name: 2026\n", "setting name does not take 2026"),
        ('data_dir: "a\\0b"\n', "data_dir must be text without control characters"),
        ("space: [cnn]\n", "space must be given as space.<family>.<dimension>"),
        ("space: {cnn: {learning_rate: {low: 1}}}\n", "space.cnn.learning_rate must lie in"),
        ("space: {cnn: {width: []}}\n", "space.cnn.width must lie in 16, 32, 64, but got ''"),
        ("baseline: {cnn: {batch_size: -1}}\n", "baseline.cnn.batch_size must lie in 32, 64"),
    ],
)
def test_f16_a_wrong_yaml_file_is_one_line_and_exit_2_and_nothing_is_written(
    content: str | bytes, message: str, awkward_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = awkward_path / "study.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert message in refusal(["--config", str(file)], awkward_path, capsys)


def test_f16_an_empty_yaml_file_says_nothing_and_is_not_wrong(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("# nothing yet\n")
    assert resolve({}, config=file, assignments=[]) == resolve({}, config=None, assignments=[])


def test_f16_a_name_that_is_taken_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.json").write_text("{}")
    arguments = ["--results-dir", str(tmp_path), "--name", "mine"]
    assert "holds a study already" in refusal(arguments, tmp_path, capsys)


@pytest.mark.parametrize("name", ["trials.parquet", "checkpoints", "winners"])
def test_f16_a_folder_with_what_a_study_would_write_over_is_refused(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine" / name).mkdir(parents=True)
    arguments = ["--results-dir", str(tmp_path), "--name", "mine"]
    assert f"holds {name}, which a study would write over" in refusal(arguments, tmp_path, capsys)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--families", "cnn", "--epochs", "0"], "epochs must be at least 1, but got 0"),
        (["--families", "vgg"], "unknown family 'vgg'"),
        ([*DIGITS, "--set", "train_images=99999"], "but is 99,999"),
    ],
)
def test_f16_the_whole_process_takes_less_than_three_seconds_and_writes_nothing(
    arguments: list[str], message: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(tmp_path)}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.study", *arguments],
        cwd=tmp_path,
        env={**environment, "XDG_CACHE_HOME": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
    # Of the processor's time, which other processes on a busy machine do not lengthen.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < MOST_SECONDS


def test_f16_wrong_names_are_answered_before_torch_ray_or_pandas_is_imported() -> None:
    program = (
        "import sys\n"
        "from orchestrator.study import main\n"
        "assert main(['--families', 'vgg']) == 2\n"
        "print([m for m in ('torch', 'torchvision', 'ray', 'pandas') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "the following arguments are required: RESULTS"),
        (["a", "--b"], "unrecognized arguments: --b"),
    ],
)
def test_f16_the_comparison_too_answers_wrong_usage_in_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        compare.main(arguments)
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
