"""A study's record from the few entries of `study.json` that a test is about."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.results.study_record import StudyRecord

SETTINGS = {
    "families": ["cnn"],
    "dataset": "digits",
    "trials": 1,
    "epochs": 1,
    "seeds": 1,
    "train_fractions": [1.0],
}


def record(content: Mapping[str, Any] | None = None, **settings: Any) -> StudyRecord:
    """A study with these entries and settings; what they leave out is that of a small one.

    It may have no family, or one of any name, as no study has that is read.
    """
    given = {"name": "made-up", "outcome": "completed", **(content or {})}
    given["settings"] = {**SETTINGS, **given.get("settings", {}), **settings}
    families, given["settings"]["families"] = given["settings"]["families"], ["cnn"]
    made = StudyRecord.of(Path("study.json"), json.loads(json.dumps(given)))
    own = made.settings.model_copy(update={"families": families})
    return made.model_copy(update={"settings": own})
