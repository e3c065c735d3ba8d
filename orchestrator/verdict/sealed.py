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
from orchestrator.verdict.matching import Matched, name_of

FIELDS: Final = ("look", "at", "test_set", "claim", "candidate", "baseline", "predictions",
                 "level", "held", "opened", "before")  # fmt: skip
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


@dataclass(frozen=True, kw_only=True)
class Log:
    """A file with a line for each claim that was tested on one test set.

    Attributes:
        path: The file.
        entries: What it has so far.
    """

    path: Path
    entries: Sequence[dict[str, Any]]

    @property
    def opened(self) -> int:
        """How many looks showed numbers."""
        return sum(bool(entry["opened"]) for entry in self.entries)


def decide(
    path: Path, matched: Matched, asked: Question, claims: Sequence[Claim], *, opened: bool
) -> tuple[list[Decision], Log]:
    """Decides each claim at the level that is left for it, and writes it down.

    A claim that the log has of the very same predictions is answered as it was, and spends nothing.

    Args:
        path: The log; made where it is not there yet.
        matched: The models.
        asked: Of them.
        claims: Tested, by `asked.test`.
        opened: Whether numbers are shown beside the decisions.

    Raises:
        ValueError: The file is no log, was changed, or is of another test set.
        OSError: It cannot be read or written.
    """
    check_writable(path.absolute().parent)
    with FileLock(path.with_name(f".{path.name}.lock"), timeout=LOCK_SECONDS):
        entries = _read(path)
        test_set = _digest_of_test_set(matched)
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
                "candidate": name_of(claim.candidate),
                "baseline": name_of(claim.baseline),
                "predictions": _digest_of(matched, claim),
            }
            decisions.append(_decide(entries, entry, claim, opened=opened))
        write_text(path, "".join(f"{json.dumps(entry)}\n" for entry in entries))
    return decisions, Log(path=path, entries=entries)


def _decide(
    entries: list[dict[str, Any]], entry: dict[str, Any], claim: Claim, *, opened: bool
) -> Decision:
    """Adds an entry, unless it is there."""
    same = ("claim", "predictions")
    for earlier in entries:
        if all(earlier[name] == entry[name] for name in same):
            earlier_opened = bool(earlier["opened"])
            if not opened or earlier_opened:
                return Decision(
                    look=earlier["look"], level=earlier["level"], held=earlier["held"], again=True
                )
            # Shown now for the first time: an entry of its own, at no cost.
            _append(entries, {**entry, "level": earlier["level"], "held": earlier["held"]}, True)
            return Decision(
                look=earlier["look"], level=earlier["level"], held=earlier["held"], again=True
            )
    tested = _tested(entries)
    left = level(len(tested), sum(each["held"] for each in tested), total=CERTAIN)
    held = claim.p_value <= left
    _append(entries, {**entry, "level": left, "held": held}, opened)
    return Decision(look=len(entries), level=left, held=held, again=False)


def _tested(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The entries that spent something: the first of each claim."""
    first: dict[tuple[str, str], dict[str, Any]] = {}
    for entry in entries:
        first.setdefault((entry["claim"], entry["predictions"]), entry)
    return [*first.values()]


def _append(entries: list[dict[str, Any]], entry: dict[str, Any], opened: bool) -> None:
    entries.append(
        {
            "look": len(entries) + 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            **entry,
            "opened": opened,
            "before": _digest_of_line(entries[-1]) if entries else "",
        }
    )


def _read(path: Path) -> list[dict[str, Any]]:
    """The entries, whose chain of digests must be whole.

    Raises:
        ValueError: It is no log, or a line was changed or taken out.
    """
    if not path.exists():
        return []
    entries: list[dict[str, Any]] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
        except ValueError:
            entry = None
        if not isinstance(entry, dict) or set(entry) != set(FIELDS):
            raise ValueError(
                f"--log must be a log of verdicts, but line {number} of {path} is none"
            )
        before = _digest_of_line(entries[-1]) if entries else ""
        if entry["before"] != before or entry["look"] != number:
            raise ValueError(
                f"--log must be as it was written, but line {number} of {path} does not follow "
                "from the one before: a line was changed or is missing"
            )
        entries.append(entry)
    return entries


def _digest_of_line(entry: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(entry, sort_keys=True).encode()).hexdigest()


def _digest_of_test_set(matched: Matched) -> str:
    labels = (matched.classes[label] for label in matched.runs[0].labels)
    pairs = [*zip(matched.images, labels, strict=True)]
    return hashlib.sha256(json.dumps(pairs).encode()).hexdigest()


def _digest_of(matched: Matched, claim: Claim) -> str:
    """What was predicted by both models, under whatever names."""
    sides = [
        sorted(run.predicted.astype("<i8").tobytes() for run in matched.of_model(model))
        for model in (claim.candidate, claim.baseline)
    ]
    digest = hashlib.sha256()
    for side in sides:
        digest.update(len(side).to_bytes(8, "little"))
        for run in side:
            digest.update(hashlib.sha256(run).digest())
    return digest.hexdigest()
