"""A look for programs: all of it as one JSON object."""

from dataclasses import asdict
from typing import Any

from orchestrator.look.looking import Look
from orchestrator.look.problems import Problem


def to_json(look: Look) -> dict[str, Any]:
    """What `--json` prints; `docs/JSON.md` has its schema."""
    return {
        "dataset": look.dataset,
        "data_dir": look.place,
        "runs": look.runs,
        "classes": list(look.classes),
        "images": {**asdict(look.overview), "test": look.test_images},
        "problems": [_problem(problem) for problem in look.problems],
        "left_out": {what: list(names) for what, names in look.left_out.items()},
        "notes": list(look.notes),
        "image_size": look.image_size,
        "enlarged": look.smaller,
        "decoded_bytes": look.decoded_bytes,
        "free_bytes": look.free_bytes,
        "time": list(look.time),
        "command": look.command,
    }


def _problem(problem: Problem) -> dict[str, Any]:
    return {
        "kind": problem.kind,
        "must": problem.must,
        "what": problem.title,
        "advice": problem.advice,
        "detail": problem.detail,
        "groups": [list(group) for group in problem.groups],
        "remove": list(problem.remove),
    }
