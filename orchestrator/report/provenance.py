"""What was run, on what, by which code: settings, environment, hashes, and the command again."""

import shlex
from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.analysis.section import MISSING, Section, count, duration, present, worded
from orchestrator.analysis.test_results import in_words
from orchestrator.called import words_of
from orchestrator.cli import counted
from orchestrator.compare.study_differences import leaves
from orchestrator.config.input_size import what_families_see
from orchestrator.config.settings import Settings
from orchestrator.report.inputs import Inputs
from orchestrator.results.manifest import sha256_of
from orchestrator.results.study_record import RunRecord, StudyRecord
from trainables import registry

MOST_FILES = 50
"""Whose hashes are listed; of more there is one of all, and `study.json` has each."""
ELSEWHERE = ("families", "preset", "name", "results_dir", "publish", "track", "address")
"""Settings that have a flag in the command, or that another machine has otherwise."""
Pairs = Iterator[tuple[str, str]]


def gather(inputs: Inputs) -> tuple[Section, ...]:
    """The sections on how the study was run and how to run it again."""
    study = inputs.study
    return (
        _table("settings", "Settings: as they were resolved", leaves(study.raw["settings"])),
        _table("hashes", "Settings: hashes", _hashes(study)),
        _table("environment", "Settings: environment", leaves(study.environment)),
        _table("cluster", "Settings: cluster", leaves(study.raw.get("cluster", {}))),
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
        default = defaults.get(name)
        plain = list(default) if isinstance(default, tuple) else default
        if name in ELSEWHERE or value is None or value == plain:
            continue
        if name == "image_size" and not _free_size(inputs.study):
            continue
        given = ",".join(map(str, value)) if isinstance(value, list | tuple) else value
        for each, text in leaves({name: given}):
            words += ["--set", f"{each}={text}"]
    return shlex.join(words)


def facts(inputs: Inputs) -> Pairs:
    """The few lines that stand at the top of the page; without a value there is none."""
    study, settings, data = inputs.study, inputs.study.settings, inputs.study.dataset
    yield "data set", settings.dataset
    own = {"train": data.train_images, "validation": data.validation_images}
    parts = [f"{count(images)} {part}" for part, images in own.items() if images]
    tested = {row["test_images"] for row in inputs.final}
    parts += [f"{count(images)} test" for images in sorted(tested)]
    yield "images", ", ".join(parts)
    if data.image_shape and _free_size(study):
        yield "image size", what_families_see(data.image_shape[0], study.spaces, study.baselines)
    yield "classes", count(len(data.classes)) if data.classes else ""
    trials, families = len(inputs.trials), len(inputs.families)
    spent = f"{counted(trials, 'trial')} of {counted(families, 'family')}"
    yield "search", f"{spent}, at most {counted(settings.epochs, 'epoch')} each"
    if settings.objective != "accuracy":
        yield "chosen by", f"{in_words(settings.objective)} on validation images"
    fractions = ", ".join(f"{share:g}" for share in settings.train_fractions)
    fraction = "fractions" if len(settings.train_fractions) > 1 else "fraction"
    steps = ", about the same steps at each" if settings.equal_steps else ""
    yield "finals", f"{counted(settings.seeds, 'seed')} at train {fraction} {fractions}{steps}"
    of_finals = {row["trial_id"]: row["device_seconds"] for row in inputs.final}
    seconds = sum(present(row["device_seconds"] for row in inputs.trials))
    seconds += sum(present(of_finals.values()))
    yield "device time", duration(seconds) if seconds else ""
    yield "devices", ", ".join(study.device_types)
    yield "started", _time(study.started_at)
    yield "ended", _time(inputs.status.ended_at)


def _free_size(study: StudyRecord) -> bool:
    """Whether the images have sizes of their own, so that the study has chosen one."""
    try:
        return registry.load_dataset(study.settings.dataset).survey is not None
    except ValueError:  # its file is not here, or broken by now
        return False


def _hashes(study: StudyRecord) -> Pairs:
    yield "code", study.code_sha256
    yield "git commit", study.git_commit or ""
    yield "split", study.dataset.split_sha256
    files = sorted(study.dataset.files.items())
    if len(files) > MOST_FILES:
        yield f"data: {counted(len(files), 'file')}", sha256_of(dict(files))
        files = []
    for name, digest in files:
        yield f"data: {name}", digest
    if study.weights:
        yield f"weights: {study.weights.name}", study.weights.sha256
    yield "choice", study.choice_sha256


def _table(key: str, title: str, pairs: Pairs) -> Section:
    return worded(
        key=f"settings/{key}",
        title=title,
        columns=("name", "value"),
        rows=[(name, value) for name, value in pairs if value],
    )


def _runs(runs: list[RunRecord]) -> Section:
    rows = [
        [str(n), _time(r.started_at), _time(r.ended_at) or MISSING, r.outcome, r.host or MISSING]
        for n, r in enumerate(runs, 1)
    ]
    return worded(
        key="settings/runs",
        title="Settings: runs of the driver",
        columns=("run", "started", "ended", "outcome", "host"),
        rows=rows,
    )


def _time(text: str | None) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if text else ""
