"""What `study --register` registers: a file's questions, or those that the study's answer needs."""

import json
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Final

from pydantic import BaseModel, Field, ValidationError

from orchestrator.config import yaml_file
from orchestrator.config.settings import Settings, to_json
from orchestrator.results import registration
from orchestrator.results.registration import ALPHA
from orchestrator.results.schema import ROLES
from orchestrator.results.study_record import Question, Registration, StudyRecord

TUNED: Final = ROLES[1]
NEW: Final = "start a new study to ask something else"


class _Entry(BaseModel, extra="forbid"):
    a: str
    b: str
    train_fraction: float | None = None
    margin: float = Field(default=0.0, ge=0, lt=1)


class _File(BaseModel, extra="forbid"):
    questions: list[_Entry] = Field(min_length=1)
    alpha: float = Field(default=ALPHA, gt=0, le=0.2)


def plan_registration(
    asked: str | None, settings: Settings, families: Sequence[str]
) -> Registration | None:
    """What is to be registered; None where that was not asked for.

    It is asked for by a YAML file, or by an empty text for what the study's answer needs.

    Raises:
        ValueError: The file is wrong, or there is nothing to ask.
    """
    if asked is None:
        return None
    if asked:
        return _read(Path(asked), settings, families)
    largest = max(settings.train_fractions)
    pairs = [((one, TUNED), (other, TUNED)) for one, other in combinations(families, 2)]
    pairs += [((family, TUNED), (family, ROLES[0])) for family in families]
    return Registration(questions=[Question.of(a, b, largest) for a, b in pairs], alpha=ALPHA)


def notes_of(registered: Registration) -> list[str]:
    """What will be registered, for the one who plans the study."""
    count = len(registered.questions)
    return [
        f"Registered before the search: {count} question{'' if count == 1 else 's'}, alpha "
        f"{registered.alpha:g} over all of them by Holm; whatever else is found is explored.",
        *(
            f"  {question}" + (f", margin {100 * question.margin:g} points" * bool(question.margin))
            for question in registered.questions
        ),
    ]


def check_resumed(
    study: StudyRecord, asked: str | None, settings: Settings, families: Sequence[str]
) -> None:
    """Checks that a study goes on with what it has registered, if anything.

    Raises:
        ValueError: It was registered otherwise or not at all, or a setting that matters differs.
    """
    kept = study.registration
    if kept is None:
        if asked is not None:
            raise ValueError(
                "--register must go with a new study, since a registration is older than the first "
                f"trial, but {study.name} has begun without one; {NEW}"
            )
        return
    if asked is not None:
        given = plan_registration(asked, settings, families)
        assert given is not None
        before = (set(kept.questions), kept.alpha)
        if (set(given.questions), given.alpha) != before:
            raise ValueError(
                "the registration must stay when a study is resumed, but "
                f"{len(given.questions)} questions at alpha {given.alpha:g} were given, which are "
                f"not the {len(before[0])} at {before[1]:g} with SHA-256 {kept.sha256}; leave "
                f"--register out, or {NEW}"
            )
    now = json.loads(json.dumps(to_json(settings)))
    for name, before in registration.what_matters(study)["settings"].items():
        value = now.get(name, before)
        if value != before and name not in {"families", "precision"}:
            raise ValueError(
                f"{name} must stay as registered when a study is resumed, but was {before} and is "
                f"{value}; {NEW}"
            )


def _read(path: Path, settings: Settings, families: Sequence[str]) -> Registration:
    content = yaml_file.read("--register", path)
    try:
        read = _File.model_validate(content)
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, fault['loc'])) or 'the file'}: "
            f"{'must be names with values' if fault['type'] == 'model_type' else fault['msg']}"
            for fault in error.errors()
        )
        raise ValueError(
            f"--register must be questions with `a` and `b`, but in {path} {wrong}"
        ) from error
    models = {f"{family} {role}": (family, role) for family in families for role in ROLES}
    fractions = settings.train_fractions
    questions: list[Question] = []
    faults: list[str] = []
    for entry in read.questions:
        fraction = max(fractions) if entry.train_fraction is None else entry.train_fraction
        unknown = [name for name in (entry.a, entry.b) if name not in models]
        faults += [f"{name!r} is none of {', '.join(models)}" for name in unknown]
        if fraction not in fractions:
            known = ", ".join(f"{share:g}" for share in fractions)
            faults.append(f"train_fraction {fraction:g} is none of {known}")
        if entry.a == entry.b:
            faults.append(f"{entry.a!r} is asked against itself")
        if not unknown:
            a, b = models[entry.a], models[entry.b]
            questions.append(Question.of(a, b, fraction, margin=entry.margin))
    if len({question.asked for question in questions}) < len(questions):
        faults.append("a question is asked twice")
    if faults:
        raise ValueError(f"--register must ask what the study can answer, but {'; '.join(faults)}")
    return Registration(questions=questions, alpha=read.alpha)
