"""How numbers and names are told."""

from typing import Any

import pandas as pd

from recomputing.shown import Digits


def model_of(name: str) -> tuple[str, str]:
    """Family and role of a model by how it is printed."""
    family, _, role = name.rpartition(" ")
    return family, role


def seconds(value: float, unit: str) -> list[float]:
    """A length of time in the unit that it is told in."""
    assert unit == ("s" if value < 100 else "min" if value < 6000 else "h"), (value, unit)
    return [value / {"s": 1, "min": 60, "h": 3600}[unit]]


def told(value: float) -> str:
    """A length of time as it is told."""
    unit = "s" if value < 100 else "min" if value < 6000 else "h"
    (found,) = seconds(value, unit)
    return f"{found:.1f} {unit}" if unit == "h" else f"{found:.0f} {unit}"


def about(images: float) -> str:
    return f"{float(f'{images:.2g}'):,.0f}"


def moment(text: str) -> str:
    return f"{pd.Timestamp(text).tz_convert('UTC'):%Y-%m-%d %H:%M}"


def shortened(label: str) -> str:
    """A label as it stands at an axis."""
    return label if len(label) <= 22 else f"{label[:21]}…"


def hyper(value: Any) -> Any:
    return Digits(value, 3) if isinstance(value, float) else value
