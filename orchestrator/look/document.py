"""A look for programs: all of it as one JSON object."""

from dataclasses import asdict
from typing import Any

from orchestrator.look.looking import Look, command_of
from orchestrator.plan.memory import free_bytes


def to_json(look: Look) -> dict[str, Any]:
    """What `--json` prints; `docs/JSON.md` has its schema."""
    return {
        "dataset": look.settings.dataset,
        "data_dir": look.settings.data_dir,
        "runs": look.runs,
        "classes": look.classes,
        "images": {**asdict(look.overview), "test": look.test_images},
        "problems": [
            {"kind": p.kind, "must": p.must, "what": p.title, "advice": p.advice, **vars(p)}
            for p in look.problems
        ],
        "left_out": dict(look.left_out),
        "notes": look.notes,
        "image_size": look.image_size,
        "enlarged": look.smaller,
        "decoded_bytes": look.decoded_bytes,
        "free_bytes": free_bytes(),
        "time": look.time,
        "command": command_of(look.settings),
    }
