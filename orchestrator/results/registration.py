"""The pre-registration of a study: its questions, written with a hash before its first trial."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.config.settings import OPERATIONAL
from orchestrator.results import files, manifest
from orchestrator.results.study_record import Registration, StudyRecord

FILE: Final = "registration.json"
ALPHA: Final = 0.05
TEST: Final = (
    "difference of mean test accuracy over seeds, two-sided p of its paired interval, adjusted by "
    "Holm over the registered questions"
)
REGISTERED, EXPLORED = "registered", "explored"
# What of it `study.json` has too.
KEPT: Final = ("registered_at", "questions", "alpha")


def what_matters(study: StudyRecord) -> dict[str, Any]:
    """The entries of `study.json` that must stay as registered: others decide no result."""
    settings = study.raw["settings"]
    matter = sorted(settings.keys() - {*OPERATIONAL, "space", "baseline"})
    return {
        "settings": {name: settings[name] for name in matter},
        "spaces": study.spaces,
        "baselines": study.baselines,
        "split_sha256": study.dataset.split_sha256,
    }


def sha256_of(content: Mapping[str, Any]) -> str:
    """SHA-256 of a registration as JSON with sorted names and no spaces."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def register(folder: Path, registration: Registration, study: StudyRecord) -> dict[str, Any]:
    """Writes `registration.json`, before any trial; returns the entry of `study.json` about it."""
    content = {
        "study": study.name,
        "registered_at": manifest.now(),
        "git_commit": study.git_commit,
        "code_sha256": study.code_sha256,
        "questions": [question.model_dump() for question in registration.questions],
        "metric": "test_accuracy",
        "test": TEST,
        "alpha": registration.alpha,
        **what_matters(study),
    }
    content = json.loads(json.dumps(content))
    sha256 = sha256_of(content)
    text = json.dumps({"sha256": sha256, "content": content}, indent=2, ensure_ascii=False)
    files.write_text(folder / FILE, text + "\n")
    return {"sha256": sha256, **{name: content[name] for name in KEPT}}


def read(folder: Path) -> dict[str, Any] | None:
    """The content of `registration.json` and its hash, or None; a `ValueError` of damaged ones."""
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
        return {"sha256": str(written["sha256"]), "content": dict(written["content"])}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{FILE} must be a registration as this project writes it, but is not: {error}"
        ) from error
