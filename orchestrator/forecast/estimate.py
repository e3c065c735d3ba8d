"""Forecast of a study before it is run: epochs, device time and money, each as a range."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Final

from orchestrator.cli import counted
from orchestrator.config.settings import Settings
from orchestrator.forecast.prices import read_prices
from orchestrator.forecast.speed import Speed, side_by_side
from orchestrator.forecast.throughput import (
    Range,
    Throughput,
    Work,
    find_throughput,
    image_size,
    read_throughput,
)
from orchestrator.forecast.workload import Images, Reach, Training, epochs_of, whole_work
from orchestrator.results.study_record import FamilyForecastRecord, NodePrice

SECONDS_PER_HOUR: Final = 3600
REACHES: Final[tuple[Reach, Reach]] = ("least", "most")


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """Forecast of a study; each range goes from low to high.

    Low is where ASHA stops at the first rung all it may and the baseline wins; high is where
    nothing is stopped and another trial wins.

    Attributes:
        families: In the order of the settings, as `study.json` has them.
        throughput: Where the device time is from; None where it is not known.
        unknown: Why it is not; empty where it is.
        devices_per_trial: That each trial reserves.
        at_a_time: Trials at a time; None before the cluster is known.
        device_hours: Of all families; None without a throughput.
        wall_seconds: Of the study with so many at a time; None where either is not known.
    """

    families: Mapping[str, FamilyForecastRecord]
    throughput: Throughput | None
    unknown: str
    devices_per_trial: float
    at_a_time: int | None
    device_hours: Range | None
    wall_seconds: Range | None
    prices: tuple[NodePrice, ...]

    def to_json(self) -> dict[str, Any]:
        """The forecast as `study.json` has it."""
        measured = self.throughput
        return {
            "families": {name: each.model_dump() for name, each in self.families.items()},
            "pace": measured and {"study": measured.study, "device": measured.device},
            "prices": [price.model_dump() for price in self.prices],
        }


def forecast_study(
    settings: Settings,
    work: Work,
    train_images: Mapping[float, int],
    validation_images: int,
    *,
    name: str = "",
    reserved: tuple[str, float, int] | None = None,
) -> Forecast:
    """Forecasts what a study will take.

    Args:
        settings: The study's.
        work: Its families, in order, and its images.
        train_images: Share to number of training images.
        validation_images: How many.
        name: The study's, whose own epochs are not its forecast.
        reserved: Device (`cuda` or `cpu`), devices per trial and trials at a time, once known.

    Raises:
        ValueError: The study of the throughput or the table of prices is not as it must be.
    """
    device, devices, at_a_time = reserved or (None, None, None)
    if settings.pace_from is not None:
        folder = Path(settings.pace_from).expanduser()
        throughput, why = read_throughput(folder, work, device=device)
        unknown = f"{folder.name}, which pace_from names, did other work: {why}"
    else:
        folder = Path(settings.results_dir).expanduser()
        throughput = find_throughput(folder, work, device=device, leave_out=name)
        unknown = (
            "no earlier study in the results folder has epochs of these families in these search "
            "spaces and around these baselines, on images like these "
            f"({work.dataset}, {image_size(work.image_shape)}), in this precision and on this type "
            "of device"
        )
    devices = devices or (throughput.devices_per_trial if throughput else 1.0)
    images = Images(train=train_images, validation=validation_images)
    families, times = list(work.spaces), None
    if throughput is not None:
        times = _Times(settings, families, images, throughput.on(devices), devices)
    wall = {family: times.one_by_one(family) for family in families} if times else {}
    hours = [sum(ends) * (devices / SECONDS_PER_HOUR) for ends in zip(*wall.values(), strict=True)]
    return Forecast(
        families={
            each: _family(each, settings, times, wall.get(each), devices) for each in families
        },
        throughput=throughput,
        unknown="" if throughput else unknown,
        devices_per_trial=devices,
        at_a_time=at_a_time,
        device_hours=(hours[0], hours[1]) if times else None,
        wall_seconds=times.at_a_time(at_a_time) if times and at_a_time is not None else None,
        prices=tuple(read_prices(settings.prices)),
    )


@dataclass(frozen=True)
class _Times:
    """Wall seconds, from least work at the highest throughput to most work at the lowest.

    Nothing may be spent beyond a budget, if it can be helped.
    """

    settings: Settings
    families: Sequence[str]
    images: Images
    throughput: Throughput
    devices: float

    def _ends(self, families: Sequence[str]) -> Iterator[tuple[Speed, tuple[list[Training], ...]]]:
        for end, phases in enumerate(_works(families, self.settings)):
            yield (
                Speed((), self.images, earlier=lambda *asked, end=end: self.epoch(*asked)[end]),
                phases,
            )

    def epoch(self, family: str, fraction: float) -> Range:
        """Of an epoch."""
        train = self.images.train[fraction]
        return self.throughput.epoch_seconds(family, train, self.images.validation)

    def one_by_one(self, family: str) -> Range:
        """Of all trainings of a family, one after another."""
        ends = [speed.together(chain(*phases)) for speed, phases in self._ends([family])]
        hours = self.settings.budget_gpu_hours
        return _within(ends, hours and hours / len(self.families) / self.devices)

    def at_a_time(self, trials: int) -> Range:
        """Of all families, with so many trials at a time."""
        ends = [
            sum(side_by_side(phase, speed.wall_seconds, trials) for phase in phases)
            for speed, phases in self._ends(self.families)
        ]
        hours = self.settings.budget_gpu_hours
        return _within(ends, hours and hours / self.devices / trials, self.settings.time_budget)


def _works(families: Sequence[str], settings: Settings) -> list[tuple[list[Training], ...]]:
    return [whole_work(families, settings, reach) for reach in REACHES]


def _family(
    name: str, settings: Settings, times: _Times | None, wall: Range | None, devices: float
) -> FamilyForecastRecord:
    works = _works([name], settings)
    epochs = {str(f): [*times.epoch(name, f)] for f in settings.train_fractions} if times else {}
    return FamilyForecastRecord(
        trials=sum(each.times for each in works[1][0]),
        epochs=[epochs_of(chain(*phases)) for phases in works],
        device_seconds=wall and [end * devices for end in wall],
        epoch_seconds=epochs,
    )


def _within(ends: Sequence[float], *hours: float | None) -> Range:
    """A range whose high end is no more than a budget, if it can be."""
    low, high = ends
    limits = [each * SECONDS_PER_HOUR for each in hours if each is not None]
    return low, max(low, min([high, *limits]))


def time_notes(forecast: Forecast) -> Iterator[str]:
    """Notes on a forecast's device time, a line each."""
    hours, throughput = forecast.device_hours, forecast.throughput
    if hours is None or throughput is None:
        yield (
            f"Device time is not forecast: {forecast.unknown}; `--preset baseline` with few "
            "`--epochs` makes one, `--set pace_from=RESULTS` names one elsewhere."
        )
        return
    names = ", ".join(sorted(throughput.device_names))
    by_family = ", ".join(
        f"{name} {between([end / SECONDS_PER_HOUR for end in each.device_seconds])}"
        for name, each in forecast.families.items()
        if each.device_seconds
    )
    yield (
        f"Device time: {between(hours)} device-hours ({by_family}), by the middle 80% of the "
        f"epochs of {counted(throughput.trials, 'trial')} of {throughput.study} on "
        f"{throughput.device}{names and f' ({names})'}; starts of processes come on top."
    )
    if throughput.other_images:
        yield f"{throughput.study} trained on other images of the same size."
    if throughput.fed:
        yield f"{throughput.study} fed images in parts, since they did not fit its GPUs' memory."
    own, devices = throughput.devices_per_trial, forecast.devices_per_trial
    if own != devices:
        name = "GPUs" if throughput.device == "cuda" else "CPUs"
        yield (
            f"Its trials had {own:g} {name if own > 1 else name[:-1]} each, and have {devices:g} "
            "here: the range goes from no change in speed to one in proportion."
        )
    if forecast.wall_seconds is not None:
        wall = between([end / SECONDS_PER_HOUR for end in forecast.wall_seconds])
        at_a_time = f"{counted(forecast.at_a_time, 'trial')} at a time"
        yield f"With {at_a_time}, {wall} hours of wall time at least."


def cost_notes(
    prices: Sequence[NodePrice], hours: Sequence[float], measured_on: Collection[str]
) -> Iterator[str]:
    """Notes on what device-hours, low and high, cost on each type of node that has a price.

    They were `measured_on` types of devices; empty where these are not known.
    """
    for price in prices:
        nodes, cost = cost_of(price, hours).values()
        if not price.may_be_of(measured_on):
            yield (
                f"On {price.name}: not known, since hours on {', '.join(sorted(measured_on))} are "
                f"not {price.device_name}'s."
            )
        elif nodes and cost:
            yield (
                f"On {price.name}: {between(nodes)} node-hours, {between(cost)} {price.currency} "
                f"at {price.per_hour:g} an hour ({price.source}); head, storage and traffic come "
                "on top."
            )


def cost_of(price: NodePrice, hours: Sequence[float] | None) -> dict[str, list[float] | None]:
    """The node-hours for device-hours on a type of node, and their cost, as far as known."""
    per_hour = price.per_hour
    nodes = None if hours is None else [end / price.devices for end in hours]
    cost = None if not nodes or per_hour is None else [end * per_hour for end in nodes]
    return {"node_hours": nodes, "cost": cost}


def between(ends: Sequence[float]) -> str:
    """A range as text, with two significant digits."""
    # Two digits say enough below ten, where a whole number would say too little.
    low, high = (f"{end:,.0f}" if end >= 10 else f"{end:.2g}" for end in ends)  # noqa: PLR2004 (two digits)
    return low if low == high else f"{low} to {high}"
