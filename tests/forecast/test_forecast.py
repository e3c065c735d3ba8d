"""A forecast rests on epochs that were measured and prices that someone read, or says it cannot."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from made_up_record import SETTINGS, record
from made_up_rows import epoch, event, final_run, framed, table, trial, write_study
from optuna.distributions import distribution_to_json
from printed_json import printed_json

from orchestrator import study
from orchestrator.analysis.budget_use import forecast_sections
from orchestrator.config.settings import Settings
from orchestrator.config.sources import resolve
from orchestrator.forecast.estimate import (
    Forecast,
    between,
    cost_notes,
    forecast_study,
    time_notes,
)
from orchestrator.forecast.prices import read_prices
from orchestrator.forecast.throughput import Throughput, Work, find_throughput, read_throughput
from orchestrator.forecast.workload import work_of
from orchestrator.plan import families as planning
from orchestrator.results import files
from orchestrator.results.study_record import NodePrice
from trainables.registry import load_dataset

ROOT = Path(__file__).resolve().parents[2]
TRAIN, VALIDATION = 1000, 100
FILES = {"digits.csv.gz": "ab" * 32}
(CNN,) = planning.plan_families(resolve({"families": "cnn"}, config=None, assignments=[]))
WORK = Work(
    dataset="digits",
    files=FILES,
    image_shape=(32, 32, 3),
    spaces={"cnn": CNN.space},
    baselines={"cnn": CNN.baseline},
)
PRICED = """
currency: EUR
node_types:
  - {name: quad, devices: 4, per_hour: 8.0, source: the provider's list, date: 2026-11-01}
  - {name: other, devices: 1, per_hour: null}
"""


def measured_study(
    folder: Path,
    *,
    gpus: float = 1.0,
    started: str = "2026-11-01T00:00:00+00:00",
    dataset: dict[str, Any] | None = None,
    epochs: list[dict[str, Any]] | None = None,
    **more: Any,
) -> Path:
    """A study that measured one family: 500 and 250 images per second, validation in 1 and 2 s."""
    content = {
        "name": folder.name,
        "started_at": started,
        "settings": SETTINGS,
        "cluster": {"gpus_per_trial": gpus, "cpus_per_trial": 2},
        "spaces": {"cnn": CNN.space_json},
        "baselines": {"cnn": dict(CNN.baseline)},
        "dataset": {
            "name": "digits",
            "files": FILES,
            "image_shape": [32, 32, 3],
            "train_images_by_fraction": {"1.0": TRAIN},
            "validation_images": VALIDATION,
            **(dataset or {}),
        },
        **more,
    }
    epochs = epochs or [
        epoch("cnn-000", 1, images_per_second=500.0, epoch_seconds=3.0),
        epoch("cnn-000", 2, images_per_second=250.0, epoch_seconds=6.0),
    ]
    return write_study(folder, content, {"trials": [trial("cnn-000")], "epochs": epochs})


def forecast(settings: Settings, work: Work = WORK, **more: Any) -> Forecast:
    return forecast_study(settings, work, {1.0: TRAIN}, VALIDATION, **more)


def measured(folder: Path, work: Work = WORK) -> Throughput:
    throughput, why = read_throughput(folder, work)
    assert throughput is not None, why
    return throughput


def settings_in(results_dir: Path, **more: Any) -> Settings:
    given = {"families": "cnn", "dataset": "digits", "results_dir": str(results_dir), **more}
    return resolve(given, config=None, assignments=[])


def test_the_pace_tells_training_from_validation(tmp_path: Path) -> None:
    throughput = measured(measured_study(tmp_path / "earlier"))
    assert (throughput.device, throughput.devices_per_trial, throughput.trials) == ("cuda", 1.0, 1)
    # 10% and 90% of the way from the fast epoch to the slow one
    assert throughput.training["cnn"] == pytest.approx((0.0022, 0.0038))
    assert throughput.validation["cnn"] == pytest.approx((0.011, 0.019))
    assert throughput.epoch_seconds("cnn", 2000, 100) == pytest.approx((4.4 + 1.1, 7.6 + 1.9))


def test_the_latest_study_on_the_same_data_is_taken_and_never_the_study_itself(
    tmp_path: Path,
) -> None:
    days = (f"2026-11-{day:02d}T00:00:00+00:00" for day in range(1, 9))
    measured_study(tmp_path / "old", started=next(days))
    measured_study(tmp_path / "new", started=next(days))
    measured_study(tmp_path / "elsewhere", started=next(days), dataset={"name": "cifar10"})
    measured_study(tmp_path / "larger", started=next(days), dataset={"image_shape": [64, 64, 3]})
    measured_study(tmp_path / "on cpus", started=next(days), gpus=0)
    other = measured_study(tmp_path / "other", started=next(days), dataset={"files": {}})
    (measured_study(tmp_path / "begun", started=next(days)) / "epochs.parquet").unlink()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{")

    def found(work: Work = WORK, leave_out: str = "") -> str | None:
        throughput = find_throughput(tmp_path, work, device="cuda", leave_out=leave_out)
        return throughput and throughput.study

    assert found() == "new"
    assert found(leave_out="new") == "old"
    assert found(replace(WORK, files={"digits.csv.gz": "cd" * 32})) == "other"  # the latest
    assert measured(other).other_images
    assert found(replace(WORK, spaces={**WORK.spaces, "vit": {}})) is None
    assert found(replace(WORK, dataset="folder")) is None


def test_the_very_same_images_go_before_later_ones_and_others_are_said_to_be(
    tmp_path: Path,
) -> None:
    measured_study(tmp_path / "old")
    measured_study(tmp_path / "new", started="2026-12-01", dataset={"files": {"a": "cd" * 32}})
    assert "trained on other images" not in " ".join(time_notes(forecast(settings_in(tmp_path))))
    text = " ".join(time_notes(forecast(settings_in(tmp_path), replace(WORK, files={}))))
    assert "of new on cuda" in text
    assert "new trained on other images of the same size." in text


@pytest.mark.parametrize("kind", ["images_fed", "graph_fell_back"])
def test_a_pace_of_images_that_were_fed_in_parts_is_said_to_be(tmp_path: Path, kind: str) -> None:
    folder = measured_study(tmp_path / "earlier")
    files.write_table(folder, "events", table("events", [event(kind, "why")]), {})
    said = "earlier fed images in parts, since they did not fit its GPUs' memory." in " ".join(
        time_notes(forecast(settings_in(tmp_path)))
    )
    assert said == (kind == "images_fed")


def narrowed(*assignments: str) -> Work:
    """The work where the settings narrow a space or have the baseline deviate."""
    (plan,) = planning.plan_families(
        resolve({"families": "cnn"}, config=None, assignments=list(assignments))
    )
    return replace(WORK, spaces={"cnn": plan.space}, baselines={"cnn": plan.baseline})


@pytest.mark.parametrize(
    ("theirs", "ours", "why"),
    [
        ({}, {"precision": "bf16"}, "it computed in tf32, not in bf16"),
        ({"precision": "fp32"}, {}, "it computed in fp32, not in tf32"),
        ({"reproducible": True}, {}, "it was reproducible"),
        ({}, {"reproducible": True}, "it was not reproducible"),
    ],
)
def test_what_was_measured_in_another_arithmetic_says_nothing(
    tmp_path: Path, theirs: dict[str, Any], ours: dict[str, Any], why: str
) -> None:
    folder = measured_study(tmp_path / "earlier")
    study = files.read_study(folder).raw
    study["settings"].update(theirs)
    (folder / "study.json").write_text(json.dumps(study))
    assert read_throughput(folder, replace(WORK, **ours)) == (None, why)
    same = replace(WORK, **theirs) if theirs else WORK
    assert measured(folder, same).study == "earlier"


@pytest.mark.parametrize(
    ("dataset", "theirs", "ours", "why"),
    [
        (
            {"image_shape": [64, 48, 3]},
            WORK,
            WORK,
            "its images have 48x64 pixels in 3 channels, these 32x32 pixels in 3 channels",
        ),
        ({"image_shape": [32, 32, 1]}, WORK, WORK, "its images have 32x32 pixels in 1 channel, "),
        ({}, narrowed("space.cnn.width=16,32"), WORK, "its space.cnn.width was narrower"),
        (
            {},
            narrowed("space.cnn.learning_rate=1e-4..1e-3"),
            WORK,
            "its space.cnn.learning_rate was narrower",
        ),
        ({}, WORK, narrowed("baseline.cnn.width=64"), "its baseline.cnn.width was another"),
    ],
)
def test_what_was_measured_at_other_work_says_nothing_and_says_why(
    tmp_path: Path, dataset: dict[str, Any], theirs: Work, ours: Work, why: str
) -> None:
    folder = measured_study(
        tmp_path / "results" / "earlier",
        dataset=dataset,
        spaces={
            "cnn": {
                name: json.loads(distribution_to_json(values))
                for name, values in theirs.spaces["cnn"].items()
            }
        },
        baselines={"cnn": dict(theirs.baselines["cnn"])},
    )
    settings = settings_in(tmp_path / "results")
    assert forecast(settings, ours).device_hours is None
    found = forecast(replace(settings, pace_from=str(folder)), ours)
    assert found.device_hours is None
    (sentence,) = time_notes(found)
    assert f"earlier, which pace_from names, did other work: {why}" in sentence


def test_of_a_wider_search_only_the_trials_count_that_this_one_could_have(tmp_path: Path) -> None:
    folder = measured_study(tmp_path / "earlier")
    params = {**CNN.baseline, "width": 64}
    wide = trial("cnn-001", role="search", params_json=json.dumps(params))
    slow = epoch("cnn-001", 1, images_per_second=1.0, epoch_seconds=1200.0)
    tables = {name: files.read_table(folder, name).to_pylist() for name in ("trials", "epochs")}
    study = files.read_study(folder).raw
    both = {"trials": [*tables["trials"], wide], "epochs": [*tables["epochs"], slow]}
    write_study(folder, study, both)
    assert (
        measured(folder).trials,
        measured(folder, narrowed("space.cnn.width=16,32")).trials,
    ) == (2, 1)


@pytest.mark.parametrize(("here", "ends"), [(1.0, (1, 1)), (0.25, (1, 4)), (2.0, (0.5, 1))])
def test_with_other_devices_a_trial_the_range_covers_no_change_in_speed_and_one_in_proportion(
    tmp_path: Path, here: float, ends: tuple[float, float]
) -> None:
    throughput = measured(measured_study(tmp_path / "earlier"))
    low, high = throughput.epoch_seconds("cnn", 1000, 100)
    assert throughput.on(here).epoch_seconds("cnn", 1000, 100) == pytest.approx(
        (low * ends[0], high * ends[1])
    )
    text = " ".join(time_notes(forecast(settings_in(tmp_path), reserved=("cuda", here, 4))))
    said = f"Its trials had 1 GPU each, and have {here:g} here" in text
    assert said == (here != 1)


def test_the_epochs_are_those_of_the_plan(tmp_path: Path) -> None:
    settings = settings_in(tmp_path, trials=9, epochs=20, grace_period=3, seeds=2)
    (family,) = forecast(settings).families.values()
    work = work_of([plan.name for plan in planning.plan_families(settings)], settings)
    assert family.trials == work.search_trials
    assert family.epochs[1] == work.search_epochs + work.final_epochs
    assert family.epochs[0] == work.least_search_epochs + work.final_epochs // 2


def test_device_hours_are_epochs_at_the_measured_pace_on_the_devices_reserved(
    tmp_path: Path,
) -> None:
    measured_study(tmp_path / "earlier")
    settings = settings_in(tmp_path, trials=3, epochs=10, grace_period=2, seeds=1)
    found = forecast(settings, reserved=("cuda", 0.5, 4))
    epochs = (10 + 2 * 2 + 10, 30 + 20)
    seconds = (2.2 + 1.1, 3.8 + 1.9)
    # On half a GPU each it may be as fast, or half as fast as on a whole one.
    hours = [n * s * share / 3600 for n, s, share in zip(epochs, seconds, (0.5, 1), strict=True)]
    assert found.families["cnn"].epochs == [*epochs]
    assert found.device_hours == pytest.approx(hours)
    text = " ".join(time_notes(found))
    assert f"Device time: {between(hours)} device-hours" in text
    assert "epochs of 1 trial of earlier on cuda" in text
    # No less than a whole trial and a final after it, however many run side by side.
    wall = [20 * s * slower / 3600 for s, slower in zip(seconds, (1, 2), strict=True)]
    assert found.wall_seconds == pytest.approx([3600 * hour for hour in wall])
    assert f"With 4 trials at a time, {between(wall)} hours" in text
    entry = found.to_json()["families"]["cnn"]
    assert entry["device_seconds"] == pytest.approx([hour * 3600 for hour in hours])
    assert entry["epoch_seconds"]["1.0"] == pytest.approx([seconds[0], 2 * seconds[1]])


def test_searches_that_end_once_settled_have_at_least_the_trials_that_are_asked_first() -> None:
    given = {"trials": 32, "epochs": 50, "grace_period": 5}
    plain, settled = (
        work_of(["cnn"], Settings(**given, **more)) for more in ({}, {"stop_when_settled": 0.01})
    )
    assert plain.least_search_epochs == 50 + 31 * 5
    assert settled.least_search_epochs == 50 + 9 * 5
    assert settled.search_epochs == plain.search_epochs == 32 * 50


def test_a_plan_with_few_at_a_time_or_a_budget_takes_what_these_give(tmp_path: Path) -> None:
    measured_study(tmp_path / "earlier")
    given = {"trials": 3, "epochs": 10, "grace_period": 2, "seeds": 1}
    one = forecast(settings_in(tmp_path, **given), reserved=("cuda", 1.0, 1))
    assert one.wall_seconds == pytest.approx([24 * 3.3, 50 * 5.7])
    limited = settings_in(tmp_path, **given, time_budget=200 / 3600)
    found = forecast(limited, reserved=("cuda", 1.0, 1))
    assert found.wall_seconds == pytest.approx([20 * 3.3, 200])  # the baseline, and one final
    assert found.families["cnn"].trials == 3


@pytest.mark.parametrize("reserved", [None, ("cpu", 1.0, 2)])
def test_what_nobody_measured_on_such_a_device_is_not_forecast(
    tmp_path: Path, reserved: tuple[str, float, int] | None
) -> None:
    if reserved is not None:
        measured_study(tmp_path / "earlier")  # on a GPU
    found = forecast(settings_in(tmp_path), reserved=reserved)
    assert found.device_hours is None
    assert found.to_json()["families"]["cnn"]["device_seconds"] is None
    (sentence,) = time_notes(found)
    assert sentence.startswith("Device time is not forecast: no earlier study")


def test_money_is_node_hours_at_the_price_that_was_filled_in(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(PRICED)
    prices = read_prices(str(tmp_path / "prices.yaml"))
    (sentence,) = cost_notes(prices, [40.0, 80.0], {"NVIDIA L4"})
    assert sentence.startswith("On quad: 10 to 20 node-hours, 80 to 160 EUR at 8 an hour")
    assert "the provider's list, 2026-11-01" in sentence


def test_hours_of_one_type_of_device_are_not_charged_as_anothers(tmp_path: Path) -> None:
    (tmp_path / "prices.yaml").write_text(
        PRICED.replace("devices: 4,", "devices: 4, device_name: NVIDIA L4,")
    )
    prices = read_prices(str(tmp_path / "prices.yaml"))
    for known in ({"NVIDIA L4"}, ()):
        assert "160 EUR" in next(cost_notes(prices, [40.0, 80.0], known))
    assert [*cost_notes(prices, [40.0, 80.0], {"NVIDIA H100 80GB HBM3"})] == [
        "On quad: not known, since hours on NVIDIA H100 80GB HBM3 are not NVIDIA L4's."
    ]


def test_a_pace_is_of_the_type_of_device_that_it_was_measured_on(tmp_path: Path) -> None:
    rows = [
        {**epoch("cnn-000", n, images_per_second=speed, epoch_seconds=3.0), "device_name": name}
        for n, (name, speed) in enumerate((("NVIDIA L4", 250.0), ("NVIDIA H100", 500.0)), 1)
    ]
    folder = measured_study(tmp_path / "earlier", epochs=rows)
    both, one = (
        measured(folder, replace(WORK, device_names=frozenset(names)))
        for names in ((), ("NVIDIA L4", "Tesla T4"))
    )
    assert (both.device_names, one.device_names) == ({"NVIDIA L4", "NVIDIA H100"}, {"NVIDIA L4"})
    assert one.training["cnn"] == pytest.approx((0.004, 0.004))
    other = replace(WORK, device_names=frozenset({"Tesla T4"}))
    why = "it ran on NVIDIA H100, NVIDIA L4, not on Tesla T4"
    assert read_throughput(folder, other) == (None, why)
    assert find_throughput(tmp_path, other, device="cuda") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("node_types: 3", "must have a list node_types"),
        ("- 1", "must have a list node_types"),
        ("node_types: [{name: a}]", "must have name and devices"),
        ("node_types: [{name: a, devices: 1, colour: red}]", "must have name and devices"),
        ("node_types: [{name: a, devices: 0}]", "devices must be a number above 0"),
        ("node_types: [{name: a, devices: 1, per_hour: 2}]", "must say its source or date"),
        ("node_types: [{name: a, devices: 1, per_hour: x, date: y}]", "per_hour must be a number"),
        ("node_types: [", "must be a readable YAML file"),
    ],
)
def test_a_table_of_prices_that_is_not_one_is_refused_in_one_line(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as caught:
        read_prices(str(tmp_path / "prices.yaml"))
    assert "\n" not in str(caught.value)


def test_the_projects_table_has_the_cluster_files_nodes_and_no_price_without_a_source() -> None:
    prices = read_prices(str(ROOT / "deploy" / "prices.yaml"))
    types = yaml.safe_load((ROOT / "cluster.yaml").read_text())["available_node_types"]
    workers = {t["node_config"]["InstanceType"] for t in types.values() if t.get("max_workers")}
    assert {price.name.split()[0] for price in prices} == workers
    assert all(price.per_hour is None or price.source for price in prices)


def test_a_dry_run_prints_device_hours_and_money_and_names_what_has_no_price(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    digits = load_dataset("digits").open(None, 32)
    measured_study(tmp_path / "results" / "earlier", dataset={"files": dict(digits.files)})
    (tmp_path / "prices.yaml").write_text(PRICED)
    arguments = ["--dataset", "digits", "--families", "cnn", "--dry-run"]
    arguments += ["--results-dir", str(tmp_path / "results"), "--name", "mine"]
    assert study.main([*arguments, "--set", f"prices={tmp_path / 'prices.yaml'}"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "device-hours (cnn" in printed
    assert "EUR at 8 an hour" in printed
    plan = printed_json(
        capsys, "plan", study.main, *arguments, "--set", f"prices={tmp_path / 'prices.yaml'}"
    )
    (quad, other), seconds = plan["forecast"]["costs"], plan["forecast"]["device_seconds"]
    assert quad["cost"] == pytest.approx([end / 3600 / 4 * 8 for end in seconds])
    assert other["cost"] is None
    assert plan["families"][0]["device_seconds"] == pytest.approx(seconds)
    assert plan["forecast"]["pace"]["study"] == "earlier"
    assert "No price for other" in printed
    assert study.main([*arguments, "--set", "prices=no/such.yaml"]) == 2
    missing = Path.cwd() / "no/such.yaml"
    said = capsys.readouterr().err
    assert f"prices must be a readable YAML file, but {missing}: " in said


def section(*, forecast: Any, seconds: float) -> tuple[list[tuple[str, ...]], str]:
    content = record({"forecast": forecast}, epochs=5)
    trials = framed("trials", [trial("cnn-000", device_seconds=seconds)])
    finals = framed("final", [final_run("baseline", device_seconds=600.0, last_epoch=5)])
    (found,) = forecast_sections(content, trials, finals)
    return found.cells(), " ".join(found.notes)


def test_the_report_shows_how_the_forecast_held() -> None:
    seconds = 3000.0
    price = NodePrice(name="quad", devices=1, per_hour=2.0, currency="EUR", source="a list")
    given = {
        "families": {"cnn": {"trials": 1, "epochs": [10, 20], "device_seconds": [1800, 36000]}},
        "pace": {"study": "earlier", "device": "cuda"},
        "prices": [price.model_dump()],
    }
    rows, text = section(forecast=given, seconds=seconds)
    took = between([(seconds + 600) / 3600] * 2)
    assert rows == [("cnn", "10 to 20", "10", "0.5 to 10", took)]
    assert text.startswith("By the epochs of earlier on cuda.")
    assert f"On quad: {took} node-hours, {between([(seconds + 600) / 1800] * 2)} EUR" in text


def test_without_a_forecast_of_time_only_the_epochs_are_compared() -> None:
    given = {
        "families": {"cnn": {"trials": 1, "epochs": [10, 10], "device_seconds": None}},
        "pace": None,
        "prices": [],
    }
    rows, text = section(forecast=given, seconds=3000.0)
    assert rows == [("cnn", "10", "10", "—", "1")]
    assert text.startswith("Device time was not forecast")


def test_a_study_without_a_forecast_has_no_such_section() -> None:
    tables = (framed("trials"), framed("final"))
    assert not list(forecast_sections(record(epochs=5), *tables))
