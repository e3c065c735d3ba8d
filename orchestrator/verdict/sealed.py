"""The log of looks at one sealed test set: each claim once, at the level that is left for it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from filelock import FileLock

from orchestrator.analysis.pairwise import CERTAIN
from orchestrator.results.files import check_writable, write_text
from orchestrator.stats.looks import level
from orchestrator.verdict.asked import Claim, Question
from orchestrator.verdict.matching import Matched

FIELDS: Final = {
    *("look", "at", "test_set", "claim", "candidate", "baseline", "predictions"),
    *("level", "held", "opened", "before"),
}
LOCK_SECONDS: Final = 60


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a claim is held, however often the test set was looked at.

    Attributes:
        look: Its number in the log.
        level: What p had to be at most.
        held: Whether it was.
        again: Whether the log had it already, so that nothing was spent.
    """

    look: int
    level: float
    held: bool
    again: bool


def decide(
    path: Path, matched: Matched, asked: Question, claims: Sequence[Claim], *, opened: bool
) -> tuple[list[Decision], list[dict[str, Any]]]:
    """Decides each claim at the level that is left for it, and writes it down.

    A claim that the log has of the very same predictions is answered as it was, and spends nothing.

    Args:
        path: The log; made where it is not there yet.
        matched: The models.
        asked: What was asked of them.
        claims: What `asked.test` says of it.
        opened: Whether numbers are shown beside the decisions.

    Returns:
        The decisions, and all that the log has: an entry for each claim that was tested.

    Raises:
        ValueError: The file is no log, was changed, or is of another test set.
        OSError: It cannot be read or written.
    """
    check_writable(path.absolute().parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
        entries = _read(path)
        labels = (matched.classes[label] for label in matched.runs[0].labels)
        test_set = _sha256(json.dumps([*zip(matched.images, labels, strict=True)]))
        if entries and entries[0]["test_set"] != test_set:
            raise ValueError(
                f"--log must be of this test set, but {path} is of another (images or labels "
                "differ); a new test set has a new log"
            )
        decisions = []
        for claim in claims:
            entry = {
                "test_set": test_set,
                "claim": f"{asked.kind} {100 * asked.margin:g}",
                **claim.names,
                "predictions": _digest_of(matched, claim),
            }
            decisions.append(_decide(entries, entry, claim, opened=opened))
        write_text(path, "".join(f"{json.dumps(entry)}\n" for entry in entries))
    return decisions, entries


def _decide(
    entries: list[dict[str, Any]], entry: dict[str, Any], claim: Claim, *, opened: bool
) -> Decision:
    """Adds an entry, unless it is there."""
    tested = {_key(each): each for each in reversed(entries)}  # the first spent something
    earlier = tested.get(_key(entry))
    left = level(len(tested), sum(each["held"] for each in tested.values()), total=CERTAIN)
    decided: dict[str, Any] = {"level": left, "held": claim.p_value <= left}
    if earlier is not None:
        decided = {name: earlier[name] for name in decided}
    # Numbers that are shown for the first time are an entry of their own, at no cost.
    if earlier is None or (opened and not earlier["opened"]):
        entries.append(
            {
                "look": len(entries) + 1,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                **entry,
                **decided,
                "opened": opened,
                "before": _digest_of_last(entries),
            }
        )
    look = len(entries) if earlier is None else earlier["look"]
    return Decision(look=look, again=earlier is not None, **decided)


def _key(entry: dict[str, Any]) -> tuple[str, str]:
    """What is the same of the same claim on the very same predictions."""
    return entry["claim"], entry["predictions"]


def _read(path: Path) -> list[dict[str, Any]]:
    """The entries, whose chain of digests must be whole."""
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or set(entry) != FIELDS:
            raise ValueError(
                f"--log must be a log of verdicts, but line {number} of {path} is none"
            )
        if entry["before"] != _digest_of_last(entries) or entry["look"] != number:
            raise ValueError(
                f"--log must be as it was written, but line {number} of {path} does not follow "
                "from the one before: a line was changed or is missing"
            )
        entries.append(entry)
    return entries


def _digest_of_last(entries: Sequence[dict[str, Any]]) -> str:
    return _sha256(json.dumps(entries[-1], sort_keys=True)) if entries else ""


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _digest_of(matched: Matched, claim: Claim) -> str:
    """What was predicted by both models, under whatever names."""
    digest = hashlib.sha256()
    for model in (claim.candidate, claim.baseline):
        runs = sorted(run.predicted.astype("<i8").tobytes() for run in matched.of_model(model))
        digest.update(len(runs).to_bytes(8, "little"))
        for run in runs:
            digest.update(hashlib.sha256(run).digest())
    return digest.hexdigest()
