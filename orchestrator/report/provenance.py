"""What was run, on what, by which code: settings, environment, hashes, and the command again."""

import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from orchestrator.analysis.section import Section, count, duration, present, worded
from orchestrator.analysis.test_results import in_words
from orchestrator.called import words_of
from orchestrator.config.input_size import what_families_see
from orchestrator.config.settings import Settings
from orchestrator.report.inputs import Inputs
from orchestrator.results.manifest import sha256_of
from trainables import registry

SECONDS_PER_HOUR = 3600
MOST_FILES = 50
"""Whose hashes are listed; of more there is one of all, and `study.json` has each."""
ELSEWHERE = ("families", "preset", "name", "results_dir", "publish", "track", "address")
"""Settings that have a flag in the command, or that another machine has otherwise."""
Pairs = Iterator[tuple[str, str]]


def facts(inputs: Inputs) -> list[tuple[str, str]]:
    """The few lines that stand at the top of the page."""
    return [(name, value) for name, value in _facts(inputs) if value]


def gather(inputs: Inputs) -> tuple[Section, ...]:
    """The sections on how the study was run and how to run it again."""
    study = inputs.study
    return (
        _table("settings", "Settings: as they were resolved", _flat(study["settings"])),
        _table("hashes", "Settings: hashes", _hashes(study)),
        _table("environment", "Settings: environment", _flat(study.get("environment") or {})),
        _table("cluster", "Settings: cluster", _flat(study.get("cluster") or {})),
        _runs(study.get("runs") or []),
    )


def command(inputs: Inputs) -> str:
    """The command that runs the same study again, from its resolved settings."""
    settings = inputs.study["settings"]
    words = [*words_of("study"), "--families", ",".join(settings["families"])]
    defaults = vars(Settings())
    if settings.get("preset", "standard") != "standard":
        words += ["--preset", str(settings["preset"])]
    for name, value in settings.items():
        if name in ELSEWHERE or value is None or value == _plain(defaults.get(name)):
            continue
        if name == "image_size" and not _free_size(inputs.study):
            continue
        assigned = _flat({name: value}) if isinstance(value, Mapping) else [(name, value)]
        for each, given in assigned:
            words += ["--set", f"{each}={_text(given, ',')}"]
    return shlex.join(words)


def _facts(inputs: Inputs) -> Pairs:
    study, settings = inputs.study, inputs.study["settings"]
    yield "data set", str(settings["dataset"])
    data = study.get("dataset") or {}
    parts = [
        f"{count(data[f'{part}_images'])} {part}"
        for part in ("train", "validation")
        if f"{part}_images" in data
    ]
    tested = {row["test_images"] for row in inputs.final}
    parts += [f"{count(images)} test" for images in sorted(tested)]
    yield "images", ", ".join(parts)
    yield "image size", _image_size(study) if _free_size(study) else ""
    yield "classes", count(len(inputs.classes)) if inputs.classes else ""
    yield "search", _search(inputs)
    if settings.get("objective", "accuracy") != "accuracy":
        yield "chosen by", f"{in_words(settings['objective'])} on validation images"
    yield "finals", _finals(settings)
    seconds = sum(present(row["device_seconds"] for row in inputs.trials))
    seconds += sum(
        present({row["trial_id"]: row["device_seconds"] for row in inputs.final}.values())
    )
    yield "device time", duration(seconds) if seconds else ""
    yield "devices", ", ".join(study.get("device_types") or ())
    started = study.get("started_at")
    yield "started", _time(started) if started else ""
    ended = inputs.status.ended_at
    yield "ended", _time(ended) if ended else ""


def _free_size(study: Mapping[str, Any]) -> bool:
    """Whether the images have sizes of their own, so that the study has chosen one."""
    try:
        return registry.load_dataset(study["settings"]["dataset"]).survey is not None
    except ValueError:  # its file is not here, or broken by now
        return False


def _image_size(study: Mapping[str, Any]) -> str:
    shape = (study.get("dataset") or {}).get("image_shape")
    spaces, baselines = study.get("spaces") or {}, study.get("baselines") or {}
    return what_families_see(shape[0], spaces, baselines) if shape else ""


def _search(inputs: Inputs) -> str:
    settings = inputs.study["settings"]
    trials, families = _several(len(inputs.trials), "trial"), len(inputs.families)
    epochs = _several(settings["epochs"], "epoch")
    return f"{trials} of {_several(families, 'family')}, at most {epochs} each"


def _finals(settings: Mapping[str, Any]) -> str:
    fractions = ", ".join(f"{share:g}" for share in settings["train_fractions"])
    several = "s" if len(settings["train_fractions"]) > 1 else ""
    steps = ", about the same steps at each" if settings.get("equal_steps") else ""
    return f"{_several(settings['seeds'], 'seed')} at train fraction{several} {fractions}{steps}"


def _several(number: int, what: str) -> str:
    """A number of things, in the singular where there is one."""
    plural = f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"
    return f"{count(number)} {what if number == 1 else plural}"


def _hashes(study: Mapping[str, Any]) -> Pairs:
    data, weights = study.get("dataset") or {}, study.get("weights") or {}
    yield "code", str(study.get("code_sha256") or "")
    yield "git commit", str(study.get("git_commit") or "")
    yield "split", str(data.get("split_sha256") or "")
    files = sorted((data.get("files") or {}).items())
    if len(files) > MOST_FILES:
        yield f"data: {_several(len(files), 'file')}", sha256_of(dict(files))
        files = []
    for name, digest in files:
        yield f"data: {name}", str(digest)
    if weights:
        yield f"weights: {weights.get('name')}", str(weights.get("sha256"))
    yield "choice", str(study.get("choice_sha256") or "")


def _flat(values: Mapping[str, object], above: str = "") -> Pairs:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{above}{name}.")
        elif value is not None:
            yield f"{above}{name}", _text(value, ", ")


def _table(key: str, title: str, pairs: Pairs) -> Section:
    return worded(
        key=f"settings/{key}",
        title=title,
        columns=("name", "value"),
        rows=tuple((name, value) for name, value in pairs if value),
    )


def _runs(runs: list[Mapping[str, Any]]) -> Section:
    return worded(
        key="settings/runs",
        title="Settings: runs of the driver",
        columns=("run", "started", "ended", "outcome", "host"),
        rows=tuple(
            (
                str(number),
                _time(run["started_at"]),
                _time(run["ended_at"]) if run.get("ended_at") else "—",
                str(run.get("outcome", "—")),
                str(run.get("host", "—")),
            )
            for number, run in enumerate(runs, 1)
        ),
    )


def _text(value: Any, between: str) -> str:
    if isinstance(value, list | tuple):
        return between.join(str(each) for each in value)
    return str(value)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _time(text: str) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
