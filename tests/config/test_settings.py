"""Settings: from presets, YAML, flags and --set, each wrong value refused in one line."""

import itertools
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import pytest

from docs import generated
from orchestrator import study
from orchestrator.config import flags, sources
from orchestrator.config import settings as settings_module
from orchestrator.config.flags import make_parser, parse, settings_of
from orchestrator.config.rules import at_least, trials_on_a_gpu
from orchestrator.config.settings import (
    PATHS,
    Settings,
    said_of,
    setting,
    to_json,
)
from orchestrator.config.sources import PRESETS, from_json, resolve


def resolved(*assignments: str, **given: object) -> Settings:
    return resolve(given, config=None, assignments=list(assignments))


def test_the_defaults_are_the_contracts() -> None:
    settings = resolved()
    assert (settings.trials, settings.epochs, settings.grace_period) == (32, 50, 5)
    assert (settings.reduction_factor, settings.seeds, settings.dataset) == (3, 3, "cifar10")


def test_flags_override_yaml_and_yaml_overrides_the_preset(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("epochs: 7\ntrials: 5\nspace:\n  cnn:\n    width: [16, 32]\n")
    settings = resolve({"preset": "demo", "trials": "9"}, config=file, assignments=["seed=4"])
    assert (settings.epochs, settings.trials, settings.seed) == (7, 9, 4)
    assert settings.dataset == "digits"
    assert settings.space["cnn"] == {"width": "16,32"}
    assert settings.space["resnet50_scratch"] == {"stem": "imagenet"}


@pytest.mark.parametrize(("epochs", "grace_period"), [(3, 3), (5, 5), (80, 5)])
def test_the_default_grace_period_is_at_most_the_epochs(epochs: int, grace_period: int) -> None:
    settings = resolve({"epochs": str(epochs)}, config=None, assignments=[])
    assert settings.grace_period == grace_period


def test_texts_become_values_of_their_fields_types() -> None:
    settings = resolved("train_images=900", train_fractions="0.1,1.0", gpus_per_trial="0.25")
    assert settings.train_images == 900
    assert settings.train_fractions == (0.1, 1.0)
    assert settings.gpus_per_trial == 0.25


@pytest.mark.parametrize(
    ("written", "trials"),
    [(1.0, 1), (0.5, 2), (0.33, 3), (1 / 3, 3), (0.17, 6), (0.14, 7), (0.125, 8), (0.015, 67)],
)
def test_a_share_of_a_gpu_is_one_nth_also_rounded_to_two_decimals(
    written: float, trials: int
) -> None:
    assert Settings(gpus_per_trial=written).gpus_per_trial == written
    assert trials_on_a_gpu(written) == trials


@pytest.mark.parametrize("written", [0.4, 0.3, 0.6, 0.66, 0.99, 1.01, 2.0, 1e-9])
def test_what_is_no_nth_of_a_gpu_is_refused(written: float) -> None:
    with pytest.raises(ValueError, match=f"or a share 1/n such as .* but got {written}"):
        Settings(gpus_per_trial=written)


def test_spaces_and_baselines_are_set_by_family_and_dimension() -> None:
    settings = resolved("space.cnn.learning_rate=1e-5..1e-3", "baseline.cnn.width=16")
    assert settings.space == {"cnn": {"learning_rate": "1e-5..1e-3"}}
    assert settings.baseline == {"cnn": {"width": "16"}}


def test_a_librarys_model_has_one_name_in_spaces_however_it_is_spelt(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("space:\n  timm/a.b: {learning_rate: 1e-4..1e-3}\n  timm.a.b: {dropout: 0.1}\n")
    settings = resolve({}, config=file, assignments=["space.timm/a.b.optimizer=sgd"])
    assert settings.space == {
        "timm.a.b": {"learning_rate": "1e-4..1e-3", "dropout": "0.1", "optimizer": "sgd"}
    }


def test_paths_are_kept_from_the_root_wherever_they_were_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    file = tmp_path / "study.yaml"
    file.write_text("data_dir: ../images\n")
    settings = resolve(
        {"weights": "~/resnet50.pth", "results_dir": ".."},
        config=file,
        assignments=[
            *("warm_start=results/a", "pace_from=./b", "prices=c.yaml"),
            "track=wandb=team/project,tensorboard=runs,mlflow=sqlite:///m.db",
            "publish=file://../copies",
        ],
    )
    here = tmp_path / "here"
    tracked = f"wandb=team/project,tensorboard={here}/runs,mlflow=sqlite:///{here}/m.db"
    assert (settings.track, settings.publish) == (tracked, f"file://{tmp_path}/copies")
    assert [Path(getattr(settings, n)) for n in PATHS if n not in {"track", "publish"}] == [
        tmp_path / "images",
        tmp_path / "home" / "resnet50.pth",
        tmp_path,
        tmp_path / "here" / "b",
        tmp_path / "here" / "c.yaml",
        tmp_path / "here" / "results" / "a",
    ]


def test_an_archive_is_named_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    inner = resolved(data_dir="zip://flowers::photos.zip").data_dir
    assert inner == f"zip://flowers::{tmp_path}/photos.zip"
    assert resolved(data_dir=inner).data_dir == inner


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data_dir", "zip://::s3://bucket/photos.zip"),
        ("data_dir", "s3://bucket/../images"),
        ("data_dir", "simplecache::https://example.org/~me/images"),
        ("weights", "imagenet_v2"),
    ],
)
def test_addresses_and_names_are_no_paths(name: str, text: str) -> None:
    assert getattr(resolved(**{name: text}), name) == text


def test_a_link_stays_one_and_what_nobody_said_stays_as_it_was(tmp_path: Path) -> None:
    link = tmp_path / "weights.pth"
    link.symlink_to(tmp_path / "blobs" / "0676ba61")
    assert resolved(weights=str(link)).weights == str(link)
    stored = {"data_dir": "images", "results_dir": "results"}
    resumed = resolve({"trials": "3"}, config=None, assignments=[], stored=stored)
    assert (resumed.data_dir, resumed.results_dir) == ("images", "results")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("weights=~nobody-of-this-name/w.pth", "weights must be a path, but got '~nobody-of-thi"),
        ("epochs=0", "epochs must be at least 1, but got 0"),
        ("epoch_time_limit=0.5", "epoch_time_limit must be at least 1, but got 0.5"),
        ("epoch_time_limit=nan", "epoch_time_limit must be at most "),
        ("epoch_time_limit=inf", "epoch_time_limit must be at most "),
        ("epochs=1000001", "epochs must be at most 1,000,000, but got 1000001"),
        ("seeds=1001", "seeds must be at most 1,000, but got 1001"),
        ("grace_period=60", "grace_period must be at most epochs, but got grace_period=60"),
        ("epochs=many", "setting epochs does not take 'many'"),
        ("epochz=3", "unknown setting 'epochz'; choose from"),
        ("train_fractions=0,1", r"train_fractions must lie in \(0, 1\]"),
        ("train_fractions=0.5,0.5", "train_fractions must name each once"),
        ("gpus_per_trial=1.5", "gpus_per_trial must be 0, 1, or a share 1/n"),
        ("precision=fp16", "unknown precision 'fp16'; choose from tf32, fp32, bf16"),
        ("preset=fast", "unknown preset 'fast'; choose from standard, baseline, demo"),
        ("weights=demo", "weights 'demo' must go with --preset demo"),
        ("name=../x", "name must be the name of a folder"),
        (
            "publish=/mnt/copies",
            "publish must be an address such as s3://bucket/prefix or file:///",
        ),
        ("track=mlfow", "unknown tracker 'mlfow'; choose from mlflow, tensorboard, wandb"),
        ("track=optuna", "track must say where as optuna=WHERE, but got 'optuna'"),
        ("track=wandb,wandb", "track must name each tracker once, but got wandb, wandb"),
        ("space.cnn=3", "space must be given as space.<family>.<dimension>"),
        ("epochs", "--set takes name=value, but got 'epochs'"),
        ("trials=-1", "trials must be at least 1, but got -1"),
    ],
)
def test_a_wrong_setting_names_the_rule_and_the_value(assignment: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolved(assignment)


def test_a_yaml_file_may_be_a_pipe_as_shells_make_of_a_command() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"trials: 7")
    os.close(writing)
    for _ in range(2):  # a plan reads its settings twice
        assert resolve({}, config=Path(f"/dev/fd/{reading}"), assignments=[]).trials == 7
    os.close(reading)


def test_a_pipe_that_nobody_writes_to_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match=r"--config must .*pipe: a pipe must say something"):
        resolve({}, config=tmp_path / "pipe", assignments=[])


def test_a_device_is_no_yaml_file() -> None:
    with pytest.raises(ValueError, match=r"--config must .* /dev/zero is no file"):
        resolve({}, config=Path("/dev/zero"), assignments=[])


def nested_aliases(depth: int) -> str:
    """A mapping that stands for 9 to the power of its depth values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for one, other in itertools.pairwise("abcdefghijkl"[:depth]):
        lines.append(f"{other}: &{other} [{', '.join([f'*{one}'] * 9)}]")
    return "\n".join(lines)


@pytest.mark.parametrize("content", [nested_aliases(9), "space: &a\n  cnn: *a"])
def test_aliases_that_stand_for_more_than_memory_holds_are_refused_at_once(
    content: str, tmp_path: Path
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(content)
    with pytest.raises(ValueError, match="aliases that stand for more than 10,000 values"):
        resolve({}, config=file, assignments=[])


def test_a_yaml_file_may_say_a_thing_once_for_several_families(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("space:\n  cnn: &few {batch_size: [64, 128]}\n  resnet50_scratch: *few\n")
    space = resolve({}, config=file, assignments=[]).space
    assert space["cnn"] == space["resnet50_scratch"] == {"batch_size": "64,128"}


def test_a_broken_yaml_file_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text("epochs: [1\n")
    with pytest.raises(ValueError, match="--config must be a readable YAML file") as caught:
        resolve({}, config=file, assignments=[])
    assert "\n" not in str(caught.value)


def test_presets_set_only_fields_that_exist() -> None:
    for preset in PRESETS:
        assert resolved(preset=preset).preset == preset


def test_the_flags_are_few_and_frozen() -> None:
    flags = {text for action in make_parser()._actions for text in action.option_strings}
    assert flags == {
        *("-h", "--help", "--families", "--preset", "--dataset", "--data-dir", "--weights"),
        *("--trials", "--epochs", "--grace-period", "--reduction-factor", "--train-fractions"),
        *("--tune-per-fraction", "--budget-gpu-hours", "--time-budget", "--precision"),
        *("--stop-when-settled", "--equal-steps"),
        *("--gpus-per-trial", "--cpus-per-trial", "--max-concurrent", "--address"),
        *("--device-type", "--mix-devices"),
        *("--results-dir", "--name", "--seeds", "--seed", "--config", "--set", "--dry-run"),
        *("--image-size", "--image-column", "--label-column", "--group-column"),
        *("--resume", "--accept-code-change", "--warm-start", "--debug", "--no-dashboard"),
        *("--probe", "--json", "--publish", "--track", "--print-settings", "--register"),
    }


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(ValueError, match="must be at least") as caught:
        resolved("epochs=0", "seeds=-1", "epochz=3", "objective=auc")
    assert str(caught.value).split("; ")[::2][:1] == ["epochs must be at least 1, but got 0"]
    for part in ("seeds must be at least 1", "unknown setting 'epochz'", "unknown objective 'auc'"):
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_setting_is_one_field_with_its_rule_flag_help_and_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_start = setting(2, flag="EPOCHS")("epochs of a slow start")

    @dataclass(frozen=True, kw_only=True)
    class More(Settings):
        warm_up: Annotated[int, at_least(0)] = slow_start

    for module in (settings_module, sources, flags, generated):
        monkeypatch.setattr(module, "Settings", More)
        monkeypatch.setattr(module, "SAID", said_of(More))
    help_text = " ".join(make_parser().format_help().split())
    assert "--warm-up EPOCHS epochs of a slow start (2)" in help_text
    assert settings_of(parse(["--warm-up", "3"])).warm_up == 3
    assert settings_of(parse(["--set", "warm_up=4"])).warm_up == 4
    with pytest.raises(ValueError, match="warm_up must be at least 0, but got -1"):
        settings_of(parse(["--warm-up", "-1"]))
    row = "| `warm_up` | `--warm-up` | 2 | epochs of a slow start |"
    assert row in generated.settings_page().splitlines()
    assert "# epochs of a slow start\nwarm_up: 2\n" in sources.to_yaml(More())


def test_the_settings_that_are_printed_are_a_file_that_gives_them_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--families", "cnn", "--train-fractions", "0.1,1.0", "--set", "space.cnn.width=16,32"]
    assert study.main([*given, "--print-settings"]) == 0
    file = tmp_path / "study.yaml"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    again = settings_of(parse(["--config", str(file)]))
    assert replace(again, results_dir="results") == settings_of(parse(given))


def test_a_study_is_read_though_its_share_of_a_gpu_would_be_refused_today() -> None:
    stored = {**to_json(resolved(trials="7")), "gpus_per_trial": 2.0}
    assert from_json(stored).trials == 7
    with pytest.raises(ValueError, match="one GPU at most, but got 2"):
        resolve({}, config=None, assignments=[], stored=stored)
    assert resolve({"gpus_per_trial": "1"}, config=None, assignments=[], stored=stored).trials == 7


def test_rays_dashboard_is_started_but_for_the_demonstration_and_where_it_is_left_out() -> None:
    assert settings_of(parse([])).dashboard
    assert not settings_of(parse(["--no-dashboard"])).dashboard
    assert not settings_of(parse(["--preset", "demo"])).dashboard
    assert settings_of(parse(["--preset", "demo", "--set", "dashboard=true"])).dashboard


def test_flags_reach_the_settings() -> None:
    settings = settings_of(parse(["--families", "cnn", "--epochs", "6", "--set", "seeds=2"]))
    assert (settings.families, settings.epochs, settings.seeds) == ("cnn", 6, 2)


def test_an_unknown_flag_exits_with_2_and_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(["--trails", "3"])
    assert caught.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("value", ["14:00", "1:30:00", "010", "-0_7"])
def test_a_number_that_yaml_takes_for_another_one_is_an_error(tmp_path: Path, value: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(f"time_budget: {value}\n")
    with pytest.raises(ValueError, match=f"found {value}, which YAML takes for another number"):
        resolve({"families": "cnn"}, config=path, assignments=[])
