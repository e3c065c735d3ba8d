"""Devices, failures, the command, and what stands in many figures."""

import shlex

from recomputing.rules import STUDY, Values
from recomputing.stored import leaves
from recomputing.study import Recomputed
from recomputing.words import model_of, seconds


def lanes(r: Recomputed) -> int:
    """How many ran at a time on each node at most, by counting at each start."""
    count = 0
    for _, own in r.stays.groupby("node"):
        count += max(int(((own.start <= s) & (own.end > s)).sum()) for s in own.start)
    return count


def span_of(r: Recomputed) -> float:
    stays = r.stays
    return (stays.end.max() - stays.start.min()).total_seconds()


@STUDY.says(
    "Over # {unit}, #% of the time of # rows was idle",
    "Over # {unit}, #% of the time of # row was idle",
)
def idle(r: Recomputed, unit: str) -> Values:
    stays, whole = r.stays, span_of(r) * lanes(r)
    busy = (stays.end - stays.start).dt.total_seconds().sum()
    return [*seconds(span_of(r), unit), max(0, 1 - busy / whole), lanes(r)]


@STUDY.says("the longest break in which nothing ran took # {unit}")
def longest_break(r: Recomputed, unit: str) -> Values:
    stays = r.stays
    latest = stays.end.cummax().shift(fill_value=stays.start.iloc[0])
    return seconds(max((stays.start - latest).dt.total_seconds()), unit)


@STUDY.says("# trials and final runs on # node{word};", "# trials and final runs on # node;")
def on_nodes(r: Recomputed, word: str = "") -> Values:
    nodes = r.stays.node.nunique()
    assert bool(word) == (nodes > 1)
    return [len(r.stays), nodes]


@STUDY.says("{a} # {unit}", last=True)
def busy(r: Recomputed, a: str, unit: str) -> Values:
    own = r.stays[r.stays.family == a]
    return seconds((own.end - own.start).dt.total_seconds().sum(), unit)


@STUDY.says("| {word}row {n}$", "timeline |{rest}/ row {n}$")
def row(r: Recomputed, n: str, **_: str) -> Values:
    assert 1 <= int(n) <= lanes(r)
    return []


@STUDY.says("timeline | | {rest} / # {unit}$")
def stay_told(r: Recomputed, rest: str, unit: str) -> Values:
    own = r.stays.set_index("trial_id").loc[rest]
    return seconds((own.end - own.start).total_seconds(), unit)


@STUDY.says("Of # trials, # failed and # diverged; # needed more than one attempt")
def bad(r: Recomputed) -> Values:
    counts = [(r.trials.status == status).sum() for status in ("failed", "diverged")]
    return [len(r.trials), *counts, (r.trials.attempts > 1).sum()]


@STUDY.says("{model} #%", last=True)
def mean_in_words(r: Recomputed, model: str) -> Values:
    return [r.accuracy(*model_of(model))]


@STUDY.says("train fraction {fraction}", "Train fraction {fraction}", last=True)
def fraction_named(r: Recomputed, fraction: str) -> Values:
    r.at(fraction)
    return []


@STUDY.says("At most # of each search, the best first")
def most_rows(_: Recomputed) -> Values:
    return [20]


@STUDY.says("python -m orchestrator.study {rest}$")
def command(r: Recomputed, rest: str) -> Values:
    """Each setting in it is the study's; those that are not in it ran with their defaults."""
    words = shlex.split(rest)
    assert words[:2] == ["--families", ",".join(r.families)]
    settings = {name: text.replace(", ", ",") for name, text in leaves(r.settings).items()}
    if words[2:3] == ["--preset"]:
        assert words[3] == settings["preset"]
        words = words[2:]
    assert words[2::2] == ["--set"] * len(words[3::2])
    for word in words[3::2]:
        name, _, value = word.partition("=")
        assert settings[name] == value, word
    return []
