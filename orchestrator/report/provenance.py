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
from orchestrator.config.stored_settings import StoredSettings
from orchestrator.report.inputs import Inputs
from orchestrator.results.manifest import sha256_of
from orchestrator.results.study_record import RunRecord, StudyRecord
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
        _table("settings", "Settings: as they were resolved", _flat(study.raw["settings"])),
        _table("hashes", "Settings: hashes", _hashes(study)),
        _table("environment", "Settings: environment", _flat(study.environment)),
        _table("cluster", "Settings: cluster", _flat(study.raw.get("cluster", {}))),
        _runs(study.runs),
    )


def command(inputs: Inputs) -> str:
    """The command that runs the same study again, from its resolved settings."""
    settings = inputs.study.settings
    words = [*words_of("study"), "--families", ",".join(settings.families)]
    defaults = vars(Settings())
    if settings.preset != "standard":
        words += ["--preset", settings.preset]
    for name, value in inputs.study.raw["settings"].items():
        if name in ELSEWHERE or value is None or value == _plain(defaults.get(name)):
            continue
        if name == "image_size" and not _free_size(inputs.study):
            continue
        assigned = _flat({name: value}) if isinstance(value, Mapping) else [(name, value)]
        for each, given in assigned:
            words += ["--set", f"{each}={_text(given, ',')}"]
    return shlex.join(words)


def _facts(inputs: Inputs) -> Pairs:
    study, settings = inputs.study, inputs.study.settings
    yield "data set", settings.dataset
    data = study.dataset
    own = {"train": data.train_images, "validation": data.validation_images}
    parts = [f"{count(images)} {part}" for part, images in own.items() if images]
    tested = {row["test_images"] for row in inputs.final}
    parts += [f"{count(images)} test" for images in sorted(tested)]
    yield "images", ", ".join(parts)
    yield "image size", _image_size(study) if _free_size(study) else ""
    yield "classes", count(len(inputs.classes)) if inputs.classes else ""
    yield "search", _search(inputs)
    if settings.objective != "accuracy":
        yield "chosen by", f"{in_words(settings.objective)} on validation images"
    yield "finals", _finals(settings)
    seconds = sum(present(row["device_seconds"] for row in inputs.trials))
    seconds += sum(
        present({row["trial_id"]: row["device_seconds"] for row in inputs.final}.values())
    )
    yield "device time", duration(seconds) if seconds else ""
    yield "devices", ", ".join(study.device_types)
    yield "started", _time(study.started_at) if study.started_at else ""
    ended = inputs.status.ended_at
    yield "ended", _time(ended) if ended else ""


def _free_size(study: StudyRecord) -> bool:
    """Whether the images have sizes of their own, so that the study has chosen one."""
    try:
        return registry.load_dataset(study.settings.dataset).survey is not None
    except ValueError:  # its file is not here, or broken by now
        return False


def _image_size(study: StudyRecord) -> str:
    shape = study.dataset.image_shape
    return what_families_see(shape[0], study.spaces, study.baselines) if shape else ""


def _search(inputs: Inputs) -> str:
    settings = inputs.study.settings
    trials, families = _several(len(inputs.trials), "trial"), len(inputs.families)
    epochs = _several(settings.epochs, "epoch")
    return f"{trials} of {_several(families, 'family')}, at most {epochs} each"


def _finals(settings: StoredSettings) -> str:
    fractions = ", ".join(f"{share:g}" for share in settings.train_fractions)
    several = "s" if len(settings.train_fractions) > 1 else ""
    steps = ", about the same steps at each" if settings.equal_steps else ""
    return f"{_several(settings.seeds, 'seed')} at train fraction{several} {fractions}{steps}"


def _several(number: int, what: str) -> str:
    """A number of things, in the singular where there is one."""
    plural = f"{what.removesuffix('y')}ies" if what.endswith("y") else f"{what}s"
    return f"{count(number)} {what if number == 1 else plural}"


def _hashes(study: StudyRecord) -> Pairs:
    yield "code", study.code_sha256
    yield "git commit", study.git_commit or ""
    yield "split", study.dataset.split_sha256
    files = sorted(study.dataset.files.items())
    if len(files) > MOST_FILES:
        yield f"data: {_several(len(files), 'file')}", sha256_of(dict(files))
        files = []
    for name, digest in files:
        yield f"data: {name}", digest
    if study.weights:
        yield f"weights: {study.weights.name}", study.weights.sha256
    yield "choice", study.choice_sha256


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


def _runs(runs: list[RunRecord]) -> Section:
    return worded(
        key="settings/runs",
        title="Settings: runs of the driver",
        columns=("run", "started", "ended", "outcome", "host"),
        rows=tuple(
            (
                str(number),
                _time(run.started_at),
                _time(run.ended_at) if run.ended_at else "—",
                run.outcome,
                run.host or "—",
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
