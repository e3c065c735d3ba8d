"""The dashboard has no mistake that Grafana would pass over in silence, and each would be found.

Grafana's own schema (npm's `@grafana/schema` 13.2.3) was held against the file with TypeScript.
"""

import itertools
import json
import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from orchestrator.run.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "transfer_study.json").read_text())
COLUMNS = 24
NAMES = {metric.exported_name for metric in METRICS}
UNITS = {"none", "percentunit", "s", "bytes"}
TYPES = {"timeseries", "stat"}
BRACKETS = {")": "(", "]": "[", "}": "{"}


def mistakes(dashboard: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a dashboard, each in a sentence."""
    panels, variables = dashboard["panels"], dashboard["templating"]["list"]
    for one, other in itertools.combinations(panels, 2):
        if one["id"] == other["id"]:
            yield f"{one['title']} and {other['title']} have one id"
        if overlap(one["gridPos"], other["gridPos"]):
            yield f"{one['title']} and {other['title']} overlap"
    known = {variable["name"] for variable in variables}
    for used in re.findall(r"\$\{?(\w+)", json.dumps(dashboard)):
        if used not in known and used != "__all":
            yield f"there is no variable {used}"
    for panel in panels:
        yield from (f"{panel['title']}: {each}" for each in wrong_panel(panel))
    for variable in (each for each in variables if each["type"] == "query"):
        inner = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])
        yield from ("a list is no query",) if inner is None else wrong_query(inner[1])


def wrong_panel(panel: dict[str, Any]) -> Iterator[str]:
    place = panel["gridPos"]
    if place["x"] < 0 or place["w"] <= 0 or place["x"] + place["w"] > COLUMNS:
        yield "wider than the page"
    if panel["type"] not in TYPES:
        yield "an unknown type"
    if panel["fieldConfig"]["defaults"]["unit"] not in UNITS:
        yield "an unknown unit"
    names = [target["refId"] for target in panel["targets"]]
    if not names or len({*names}) < len(names):
        yield "no query, or two of one name"
    for target in panel["targets"]:
        yield from wrong_query(target["expr"])


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    return (
        one["x"] < other["x"] + other["w"]
        and other["x"] < one["x"] + one["w"]
        and one["y"] < other["y"] + other["h"]
        and other["y"] < one["y"] + one["h"]
    )


def wrong_query(query: str) -> Iterator[str]:
    """Prometheus' own parser reads them in tests/cluster/test_prometheus.py."""
    named = set(re.findall(r"\b(?:ray|study)_\w+", query))
    if not named or not named <= NAMES:
        yield f"{query} names a metric that is not published"
    opened: list[str] = []
    for letter in re.sub(r'"[^"]*"', "", query):
        if letter in BRACKETS.values():
            opened.append(letter)
        elif letter in BRACKETS and (not opened or opened.pop() != BRACKETS[letter]):
            opened.append("never closed")
    if opened or query.count('"') % 2:
        yield f"{query} leaves something open"


def test_the_dashboard_has_no_mistake() -> None:
    assert list(mistakes(DASHBOARD)) == []


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("id", 2, "have one id"),
        ("gridPos/w", 17, "overlap"),
        ("gridPos/h", 9, "overlap"),
        ("gridPos/w", 25, "wider than the page"),
        ("type", "graf", "unknown type"),
        ("fieldConfig/defaults/unit", "percent", "unknown unit"),
        ("datasource/uid", "${source}", "no variable source"),
        ("targets/0/expr", "max(ray_study_accuracy)", "not published"),
        ("targets/0/expr", "max(study_best_validation_accuracy)", "not published"),
        ("targets/0/expr", "sum(ray_study_epochs)", "not published"),
        ("targets/0/expr", "max(ray_study_trials", "leaves something open"),
        ("targets/0/expr", 'max(ray_study_trials{study=~"$study})', "leaves something open"),
        ("targets/0/expr", 'max(ray_study_trials{study=~"$studie"})', "no variable studie"),
        ("targets", [], "no query"),
    ],
)
def test_a_mistake_in_it_is_found(path: str, value: object, said: str) -> None:
    dashboard = deepcopy(DASHBOARD)
    place: Any = dashboard["panels"][0]
    *above, last = path.split("/")
    for step in above:
        place = place[int(step) if step.isdecimal() else step]
    place[last] = value
    assert any(said in each for each in mistakes(dashboard))
