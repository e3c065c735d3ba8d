"""Types of devices that a study's trials have run on, and the weight of a second on each."""

from collections.abc import Callable, Mapping
from typing import Any, Final

Place = Mapping[str, Any]
"""Where a trial runs, as columns of `trials.parquet`; see `trainables.place.Place`."""
ABOUT: Final = ("device_memory_bytes", "driver", "cuda", "cudnn", "device_speed")


class DeviceTypes:
    """Known device types, in the order in which trials came to them.

    The first with a measured speed is what device-seconds are counted in: a second on one that is
    twice as fast counts twice. Where no speeds are measured, each counts once.
    """

    def __init__(
        self, known: Mapping[str, Place], note: Callable[[Mapping[str, Place]], None]
    ) -> None:
        """Takes what is stored of a study, and what stores it again once there is more."""
        self._types, self._note = {name: dict(about) for name, about in known.items()}, note

    def take(self, place: Place) -> str:
        """Records where a trial runs; returns the types before, where that is another; else ''."""
        name = place.get("device_name")
        if name is None or name in self._types:
            return ""
        before = ", ".join(self._types)
        self._types[name] = {key: place[key] for key in ABOUT if place.get(key) is not None}
        self._note(self._types)
        return before

    def weight(self, place: Place) -> float:
        """Weight of a second of a trial on its device."""
        about = self._types.items()
        speeds = {name: each["device_speed"] for name, each in about if "device_speed" in each}
        own = speeds.get(place.get("device_name", ""))
        return 1.0 if own is None else float(own / next(iter(speeds.values())))
