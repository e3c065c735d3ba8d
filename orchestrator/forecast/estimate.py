"""What a study will take, before it is run: epochs, device time and money, each as a range."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from orchestrator.config.rungs import earliest_stop
from orchestrator.config.searches import list_searches
from orchestrator.config.settings import Settings
from orchestrator.forecast.prices import DEFAULT, NodePrice, read_prices
from orchestrator.forecast.throughput import Pace, Range, Work, find_pace, read_pace

SECONDS_PER_HOUR: Final = 3600


@dataclass(frozen=True, kw_only=True)
class FamilyForecast:
    """What one family will take, low to high.

    Low is where ASHA stops at the first rung all it may and the baseline wins; high is where
    nothing is stopped and another trial wins.

    Attributes:
        family: The family's name.
        trials: Of its searches.
        epochs: Of search and finals.
        wall_seconds: Of all trials, one after another; None where no pace is known.
    """

    family: str
    trials: int
    epochs: tuple[int, int]
    wall_seconds: Range | None


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a study will take.

    Attributes:
        families: In the order of the settings.
        pace: Where the device time is from; None where it is not known.
        unknown: Why it is not; empty where it is.
        devices_per_trial: That each trial reserves.
        at_a_time: Trials at a time; None before the cluster is known.
        prices: What nodes cost.
    """

    families: tuple[FamilyForecast, ...]
    pace: Pace | None
    unknown: str
    devices_per_trial: float
    at_a_time: int | None
    prices: tuple[NodePrice, ...]

    @property
    def device_hours(self) -> Range | None:
        """Of all families; None where it is not known."""
        ranges = [each.wall_seconds for each in self.families if each.wall_seconds is not None]
        if self.pace is None:
            return None
        low, high = (sum(ends) for ends in zip(*ranges, strict=True))
        scale = self.devices_per_trial / SECONDS_PER_HOUR
        return low * scale, high * scale

    def to_json(self) -> dict[str, Any]:
        """As `study.json` has it."""
        return {
            "families": {
                each.family: {
                    "trials": each.trials,
                    "epochs": list(each.epochs),
                    "device_seconds": None
                    if each.wall_seconds is None
                    else [end * self.devices_per_trial for end in each.wall_seconds],
                }
                for each in self.families
            },
            "pace": None
            if self.pace is None
            else {"study": self.pace.study, "device": self.pace.device},
            "prices": [vars(price) for price in self.prices],
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
    """What a study will take.

    Args:
        settings: The study's.
        work: Its families, in order, and its images.
        train_images: Share to number of training images.
        validation_images: How many.
        name: The study's, whose own epochs are not its forecast.
        reserved: Device (`cuda` or `cpu`), devices per trial and trials at a time; None before
            the cluster is known.

    Raises:
        ValueError: The study of the pace or the table of prices is not as it must be.
    """
    device, devices, at_a_time = reserved or (None, None, None)
    if settings.pace_from is not None:
        folder = Path(settings.pace_from).expanduser()
        pace, why = read_pace(folder, work, device=device)
        unknown = why and f"{folder.name}, which pace_from names, did other work: {why}"
    else:
        folder = Path(settings.results_dir).expanduser()
        pace = find_pace(folder, work, device=device, leave_out=name)
        unknown = "" if pace else _nobody_measured(work)
    devices = devices or (pace.devices_per_trial if pace else 1.0)
    here = pace.on(devices) if pace else None
    return Forecast(
        families=tuple(
            _within(
                _family(family, settings, train_images, validation_images, here),
                settings.budget_gpu_hours,
                families=len(work.spaces),
                devices=devices,
            )
            for family in work.spaces
        ),
        pace=pace,
        unknown=unknown,
        devices_per_trial=devices,
        at_a_time=at_a_time,
        prices=tuple(read_prices(settings.prices)),
    )


def time_sentences(forecast: Forecast) -> Iterator[str]:
    """What there is to say of a forecast's device time, a line each."""
    hours, pace = forecast.device_hours, forecast.pace
    if hours is None or pace is None:
        yield (
            f"Device time is not forecast: {forecast.unknown}; `--preset baseline` with few "
            "`--epochs` makes one, `--set pace_from=RESULTS` names one elsewhere."
        )
    else:
        processor = f" ({pace.processor})" if pace.device == "cpu" and pace.processor else ""
        yield (
            f"Device time: {between(hours)} device-hours ({_by_family(forecast)}), by the middle "
            f"80% of the epochs of {pace.trials} trial(s) of {pace.study} on {pace.device}"
            f"{processor}; starts of processes come on top."
        )
        yield from _caveats(pace, forecast.devices_per_trial)
        if forecast.at_a_time is not None:
            wall = [end / forecast.devices_per_trial / forecast.at_a_time for end in hours]
            yield (
                f"With {forecast.at_a_time} trial(s) at a time, {between(wall)} hours of wall time "
                "at least."
            )


def _nobody_measured(work: Work) -> str:
    return (
        "no earlier study in the results folder has epochs of these families in these search "
        f"spaces and around these baselines, on images like these ({work.dataset}, {work.images}), "
        "in this precision and on this kind of device"
    )


def _caveats(pace: Pace, devices: float) -> Iterator[str]:
    """What was otherwise where a pace was measured, a sentence each."""
    if pace.other_images:
        yield f"{pace.study} trained on other images of the same size."
    if pace.devices_per_trial != devices:
        name = "GPU(s)" if pace.device == "cuda" else "CPU(s)"
        yield (
            f"Its trials had {pace.devices_per_trial:g} {name} each, and have {devices:g} here: "
            "the range goes from no change in speed to one in proportion."
        )


def missing_prices(prices: Sequence[NodePrice]) -> Iterator[str]:
    """A sentence for each type of node that has no price; none is made up."""
    for price in prices:
        if price.per_hour is None:
            yield f"No price for {price.name}: fill in {DEFAULT}, or --set prices=FILE."


def cost_sentences(prices: Sequence[NodePrice], hours: Sequence[float]) -> Iterator[str]:
    """What device-hours cost on each type of node that has a price."""
    for price in prices:
        if price.per_hour is None:
            continue
        nodes = [end / price.devices for end in hours]
        money = between([end * price.per_hour for end in nodes])
        yield (
            f"On {price.name}: {between(nodes)} node-hours, {money} {price.currency} at "
            f"{price.per_hour:g} an hour ({price.source}); head, storage and traffic come on top."
        )


def between(ends: Sequence[float]) -> str:
    """A range as text, with two digits that count."""
    # Two digits say enough below ten, where a whole number would say too little.
    low, high = (f"{end:,.0f}" if end >= 10 else f"{end:.2g}" for end in ends)  # noqa: PLR2004 (two digits)
    return low if low == high else f"{low} to {high}"


def _by_family(forecast: Forecast) -> str:
    scale = forecast.devices_per_trial / SECONDS_PER_HOUR
    return ", ".join(
        f"{each.family} {between([end * scale for end in each.wall_seconds])}"
        for each in forecast.families
        if each.wall_seconds is not None
    )


def _family(
    family: str,
    settings: Settings,
    train_images: Mapping[float, int],
    validation_images: int,
    pace: Pace | None,
) -> FamilyForecast:
    parts = list(_parts(family, settings))
    seconds = None
    if pace is not None:
        paces = {
            fraction: pace.epoch_seconds(family, images, validation_images)
            for fraction, images in train_images.items()
        }
        seconds = (
            sum(low * paces[fraction][0] for fraction, low, _ in parts),
            sum(high * paces[fraction][1] for fraction, _, high in parts),
        )
    searches = list_searches(
        [family], settings.train_fractions, per_fraction=settings.tune_per_fraction
    )
    return FamilyForecast(
        family=family,
        trials=len(searches) * settings.trials,
        epochs=(sum(low for _, low, _ in parts), sum(high for *_, high in parts)),
        wall_seconds=seconds,
    )


def _within(
    forecast: FamilyForecast, hours: float | None, *, families: int, devices: float
) -> FamilyForecast:
    """A forecast whose high end is no more than the family's share of a budget, if it can be."""
    if hours is None or forecast.wall_seconds is None:
        return forecast
    low, high = forecast.wall_seconds
    share = hours * SECONDS_PER_HOUR / families / devices
    return replace(forecast, wall_seconds=(low, max(low, min(high, share))))


def _parts(family: str, settings: Settings) -> Iterator[tuple[float, int, int]]:
    """Share and epochs, low and high, of each search of a family and of its finals."""
    epochs = settings.epochs
    others = (
        0 if settings.has_budget else settings.trials - 1
    )  # a budget may leave the baseline alone
    for search in list_searches(
        [family], settings.train_fractions, per_fraction=settings.tune_per_fraction
    ):
        least = epochs + others * earliest_stop(settings)
        yield search.train_fraction, least, settings.trials * epochs
    for fraction in settings.train_fractions:
        yield fraction, settings.seeds * epochs, 2 * settings.seeds * epochs
