"""What was forecast, beside what it took."""

import json
from typing import Any

from recomputing.cells.registry import Cells, Key, table
from recomputing.rules import STUDY, Values
from recomputing.study import Recomputed


def two_digits(value: float) -> str:
    """A number with two digits that count, or whole."""
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def between(low: float, high: float) -> str:
    """A range of numbers."""
    ends = two_digits(low), two_digits(high)
    return ends[0] if ends[0] == ends[1] else " to ".join(ends)


def took(r: Recomputed, family: str) -> float:
    """Device-hours of a family's search and finals."""
    final = r.final[r.final.family == family].drop_duplicates("trial_id")
    trials = r.trials[r.trials.family == family]
    return (trials.device_seconds.sum() + final.device_seconds.sum()) / 3600


@table("Forecast and actual", 1)
def forecast(r: Recomputed, _: str) -> Cells:
    cells: dict[Key, Any] = {}
    for family, said in r.study["forecast"]["families"].items():
        runs = r.final[r.final.family == family].trial_id.nunique()
        epochs = r.trials[r.trials.family == family].epochs_run.sum()
        hours = said["device_seconds"] and [end / 3600 for end in said["device_seconds"]]
        cells[family, "epochs forecast"] = between(*said["epochs"])
        cells[family, "epochs"] = [epochs + runs * r.settings["epochs"]]
        cells[family, "device-hours forecast"] = between(*hours) if hours else "—"
        cells[family, "device-hours"] = two_digits(took(r, family))
    return cells


@STUDY.says(
    "The forecast was {rest} device-hours, by the epochs of {other} on {word}; the study took "
    "{values}, {verdict} that range"
)
def held(r: Recomputed, rest: str, values: str, verdict: str, **where: str) -> Values:
    said = r.study["forecast"]
    assert {"study": where["other"], "device": where["word"]} == said["pace"]
    ends = [each["device_seconds"] for each in said["families"].values()]
    low, high = (sum(each) / 3600 for each in zip(*ends, strict=True))
    spent = sum(took(r, family) for family in said["families"])
    assert (rest, values) == (between(low, high), two_digits(spent))
    assert verdict == ("within" if low <= spent <= high else "below" if spent < low else "above")
    return []


@STUDY.says("On {name}: {rest} node-hours, {values} {word} at # an hour ({other}); head")
def money(r: Recomputed, name: str, rest: str, values: str, **where: str) -> Values:
    (price,) = [each for each in r.study["forecast"]["prices"] if each["name"] == name]
    nodes = sum(took(r, family) for family in r.families) / price["devices"]
    assert (where["word"], where["other"]) == (price["currency"], price["source"])
    assert rest == two_digits(nodes)
    assert values == two_digits(nodes * price["per_hour"])
    return [price["per_hour"]]


@STUDY.says("They were trained on: # generated images of # classes")
def source_task(r: Recomputed) -> Values:
    facts = json.loads(r.study["weights"]["own_words"]["pretraining"])
    return [facts["images"], facts["source_classes"]]
