"""The plan for programs: what would run, how much it is, and what it will take, unrounded."""

from collections.abc import Sequence
from itertools import chain
from typing import Any, Final

from orchestrator.config.settings import Settings, to_json
from orchestrator.config.sources import demo_notes
from orchestrator.forecast.estimate import REACHES, SECONDS_PER_HOUR, Forecast, cost_of
from orchestrator.forecast.workload import epochs_of, whole_work, work_of
from orchestrator.plan.data_summary import data_summary
from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.inputs import Inputs
from orchestrator.plan.preflight import CheckedStudy
from trainables import registry

# What is said of the study whose throughput a forecast is based on.
PACE: Final = (
    *("study", "trials", "device", "processor", "device_names", "devices_per_trial"),
    "other_images",
)


def plan_json(
    settings: Settings,
    plans: Sequence[FamilyPlan],
    *,
    checked: CheckedStudy | None = None,
    forecast: Forecast | None = None,
    download: str | None = None,
) -> dict[str, Any]:
    """What `--dry-run --json` prints; `docs/JSON.md` has its schema.

    Study and forecast are None where data or weights are in no cache here, but at an address from
    which a run would download them.
    """
    names = [plan.name for plan in plans]
    work, pretrained = work_of(names, settings), any(plan.pretrained for plan in plans)
    epochs = [work.least_search_epochs, work.search_epochs]
    inputs = None if checked is None else checked.inputs
    train_images = None if inputs is None else len(inputs.split.train)
    return {
        "study": checked and checked.name,
        "folder": checked and str(checked.folder),
        "resumed": checked is not None and checked.resumed is not None,
        "warm_start": checked and checked.warm_start and checked.warm_start.study,
        "download": download,
        "demo": demo_notes(settings, train_images=train_images, pretrained=pretrained),
        "settings": {**to_json(settings), "families": names},
        "data": inputs and _data(inputs),
        "families": [_family(plan, settings, forecast) for plan in plans],
        "probe": [dict(each) for each in checked.probed] if checked else [],
        "search": {"searches": work.searches, "trials": work.search_trials, "epochs": epochs},
        "finals": {"runs": work.final_runs, "epochs": work.final_epochs},
        "forecast": forecast and _forecast(forecast),
    }


def _data(inputs: Inputs) -> dict[str, Any]:
    return {
        "name": inputs.settings.dataset,
        "classes": list(inputs.dataset.classes),
        "image_shape": list(inputs.training.images.shape[1:]),
        "train_images": len(inputs.split.train),
        "validation_images": len(inputs.split.validation),
        "own_validation": inputs.dataset.own_validation > 0,
        "train_images_by_fraction": {str(f): len(images) for f, images in inputs.train.items()},
        "notes": [*inputs.notes, *data_summary(inputs)],
    }


def _family(plan: FamilyPlan, settings: Settings, forecast: Forecast | None) -> dict[str, Any]:
    works = (whole_work([plan.name], settings, reach) for reach in REACHES)
    entry = forecast.to_json()["families"][plan.name] if forecast else {}
    return {
        "family": plan.name,
        "summary": registry.summary(plan.name),
        "pretrained": plan.pretrained,
        "space": plan.space_json,
        "baseline": dict(plan.baseline),
        "deviations": {
            name: {"used": used, "standard": standard}
            for name, (used, standard) in plan.deviations.items()
        },
        "baseline_outside": plan.baseline_outside,
        "epochs": [epochs_of(chain(*phases)) for phases in works],
        **{name: entry.get(name) or None for name in ("device_seconds", "epoch_seconds")},
    }


def _forecast(forecast: Forecast) -> dict[str, Any]:
    hours, pace = forecast.device_hours, forecast.throughput
    types = pace.device_names if pace else ()
    return {
        "device_seconds": hours and [end * SECONDS_PER_HOUR for end in hours],
        "wall_seconds": forecast.wall_seconds,
        "devices_per_trial": forecast.devices_per_trial,
        "trials_at_a_time": forecast.at_a_time,
        "unknown": forecast.unknown or None,
        "pace": pace
        and {**{name: getattr(pace, name) for name in PACE}, "device_names": sorted(types)},
        "costs": [
            {**vars(price), **cost_of(price, hours if price.may_be_of(types) else None)}
            for price in forecast.prices
        ],
    }
