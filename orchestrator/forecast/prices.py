"""Prices of nodes by the hour: a small table that the user fills in, read and checked."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.config import yaml_file
from orchestrator.results.study_record import NodePrice

DEFAULT: Final = "deploy/prices.yaml"
FIELDS: Final = ("name", "devices", "device_name", "per_hour", "source", "date")


def read_prices(path: str | None) -> list[NodePrice]:
    """Reads a table of prices; without a path the project's, which may not be there.

    Raises:
        ValueError: The table is missing, or not as it must be.
    """
    file = Path(path or DEFAULT).expanduser()
    if path is None and not file.is_file():
        return []
    table = yaml_file.read("prices", file)
    types = table.get("node_types") if isinstance(table, Mapping) else None
    if not isinstance(types, list):
        raise ValueError(f"prices must have a list node_types, but {file} has none")
    return [_price(file, str(table.get("currency", "")), each) for each in types]


def _price(file: Path, currency: str, given: Any) -> NodePrice:
    if not isinstance(given, Mapping) or not {"name", "devices"} <= given.keys() <= {*FIELDS}:
        raise ValueError(
            f"a node type must have name and devices, and may have {', '.join(FIELDS[2:])}, but "
            f"{file} has {given!r}"
        )
    per_hour = given.get("per_hour")
    devices = _positive(file, given, "devices")
    source = ", ".join(str(given[key]) for key in ("source", "date") if given.get(key))
    if per_hour is not None and not source:
        raise ValueError(
            f"a price must say its source or date, but {given['name']} in {file} does not"
        )
    return NodePrice(
        name=str(given["name"]),
        devices=devices,
        per_hour=None if per_hour is None else _positive(file, given, "per_hour"),
        currency=currency,
        source=source,
        device_name=str(given.get("device_name") or ""),
    )


def _positive(file: Path, given: Mapping[str, Any], key: str) -> float:
    value = given[key]
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 < value < math.inf:
        raise ValueError(
            f"{key} must be a number above 0, but {given['name']} in {file} has {value!r}"
        )
    return float(value)
