"""What must be true of a registration: it is whole, older than the first trial, and was kept to."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime

from orchestrator.plan.provenance import changed
from orchestrator.results import registration
from orchestrator.results.registration import FILE
from orchestrator.results.rows import ComparisonRow, models_of
from orchestrator.results.study_record import Question
from orchestrator.stats.claims import holm
from orchestrator.stats.predictions import split_runs
from orchestrator.verify.tables import Tables, UnusableError, differing, same


def check_registration(tables: Tables) -> Iterator[str]:
    """Where a study registered its questions, file and hash are those of before its first trial."""
    entry, written = tables.study.registration, registration.read(tables.folder)
    if entry is None:
        yield from _unnamed(tables, found=written is not None)
        return
    if written is None:
        yield f"{FILE} must have what study.json says was registered, but is missing"
        return
    content = written["content"]
    sha256 = registration.sha256_of(content)
    for where, named in ((FILE, written["sha256"]), ("study.json", entry.sha256)):
        if named != sha256:
            yield f"the registration must have SHA-256 {named} as in {where}, but has {sha256}"
    expected = {name: content.get(name) for name in registration.KEPT}
    kept = tables.study.raw["registration"]
    yield from differing("the registration in study.json", expected, kept, f" as in {FILE}")
    yield from _older(tables, str(content.get("registered_at")))
    first = tables.study.runs[0]
    code = {name: content.get(name) for name in ("code_sha256", "git_commit")}
    yield from differing("the first run", code, vars(first), " as registered")
    if content.get("study") != tables.study.name:
        yield f"the registration must be of {tables.study.name}, but is of {content['study']}"


def check_registered_settings(tables: Tables) -> Iterator[str]:
    """The settings that matter, the spaces and the split are what was registered."""
    written = registration.read(tables.folder)
    if tables.study.registration is None or written is None:
        return
    content, now = written["content"], registration.what_matters(tables.study)
    for what, entries in now.items():
        before = content.get(what)
        if isinstance(entries, dict) and isinstance(before, dict):
            for name, expected, found in changed(before, entries):
                yield f"{what}.{name} must be {expected} as registered, but is {found}"
        elif before != entries:
            yield f"{what} must be {before} as registered, but is {entries}"


def check_registered_questions(tables: Tables) -> Iterator[str]:
    """What was tested as registered is what was registered, and corrected for that alone."""
    stored: list[ComparisonRow] = tables.table("comparison").to_pylist()
    rows = [row for row in stored if row["seed"] is None and row["metric"] == "accuracy"]
    if tables.study.registration is None:
        marked = sum(row.get("registered") is not None for row in rows)
        if marked:
            yield f"no pair must be called registered or explored, but {marked} are"
        return
    questions = {question.asked: question for question in tables.study.registration.questions}
    tested = {(row["family"], row["role"], row["train_fraction"]) for row in tables.final}
    found = {_question(row).asked: row for row in rows}
    for asked, question in questions.items():
        possible = all((*model, question.train_fraction) in tested for model in question.models)
        row = found.get(asked)
        if possible and not (row is not None and row.get("registered")):
            yield f"{question} was registered, but comparison.parquet does not say so"
    for asked, row in found.items():
        if row["registered"] and asked not in questions:
            yield f"{_question(row)} must not be called registered: nobody registered it"
    yield from _holm(tables, [row for asked, row in found.items() if asked in questions])


def _unnamed(tables: Tables, *, found: bool) -> Iterator[str]:
    """What tells that a study was registered, though its `study.json` says nothing of it."""
    if found:
        yield f"{FILE} is there, but study.json does not say that the study was registered"
    for name, table in tables.usable.items():
        if (table.schema.metadata or {}).get(b"registration_sha256"):
            yield f"{name}.parquet is stamped with a registration, but study.json names none"


def _older(tables: Tables, registered_at: str) -> Iterator[str]:
    """The registration is older than the first trial and the first epoch."""
    try:
        moment = datetime.fromisoformat(registered_at)
    except ValueError:
        yield f"registered_at must be a time, but is {registered_at}"
        return
    trials = [(row["started_at"], f"trial {row['trial_id']}") for row in tables.trials]
    epochs = [(e["reported_at"], f"epoch {e['epoch']} of {e['trial_id']}") for e in tables.epochs]
    begun = [(at, what) for at, what in (*trials, *epochs) if at is not None]
    at, what = min(begun, default=(moment, ""))
    if at < moment:
        yield (
            f"the registration must be older than the first trial, but was made at {registered_at} "
            f"and {what} is of {at.isoformat()}"
        )


def _holm(tables: Tables, rows: Sequence[ComparisonRow]) -> Iterator[str]:
    """Corrected p of registered questions, over their distinct tests alone."""
    digests: defaultdict[tuple[str, str, float], frozenset[bytes]] = defaultdict(frozenset)
    try:
        runs = split_runs(tables.table("predictions"))
    except UnusableError:
        return
    for run in runs:
        digests[*run.model, run.fraction] |= {run.digest}
    keys = [frozenset(digests[*m, row["train_fraction"]] for m in models_of(row)) for row in rows]
    tests: dict[frozenset[frozenset[bytes]], float] = {}
    for row, key in zip(rows, keys, strict=True):
        if len(key) > 1 and row["p_value"] is not None:
            tests.setdefault(key, row["p_value"])
    adjusted = dict(zip(tests, holm(list(tests.values())), strict=True))
    for row, key in zip(rows, keys, strict=True):
        expected = float(adjusted.get(key, 1.0))
        if row["p_value_holm"] is None or not same(float(row["p_value_holm"]), expected):
            yield (
                f"p_value_holm of {_question(row)} must be {expected} over what was registered, "
                f"but is {row['p_value_holm']}"
            )


def _question(row: ComparisonRow) -> Question:
    return Question.of(*models_of(row), row["train_fraction"])
