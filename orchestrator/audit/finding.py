"""What an audit says: a sin with its evidence, what is in order, or what cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal["sin", "in order", "cannot be told"]
ClaimStatus = Literal["supported", "not supported", "cannot be told"]
SIN: Final = "sin"


@dataclass(frozen=True)
class Finding:
    """An answer to one question, the check; its name is that of the sin, empty where it is none."""

    check: str
    verdict: Verdict
    name: str
    sentence: str
    evidence: Sequence[str] = ()


@dataclass(frozen=True)
class Check:
    """A question by its name, and the answers to it."""

    name: str

    def sin(self, name: str, sentence: str, *evidence: str) -> Finding:
        """Something is wrong."""
        return Finding(self.name, SIN, name, sentence, evidence)

    def in_order(self, sentence: str) -> Finding:
        """Nothing is wrong."""
        return Finding(self.name, "in order", "", sentence)

    def unknown(self, sentence: str, *evidence: str) -> Finding:
        """It cannot be told."""
        return Finding(self.name, "cannot be told", "", sentence, evidence)


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A comparison that somebody may claim from the study.

    Attributes:
        difference: Of the metric, better minus worse, in its own units; None where not known.
        p_value: Of the test; None where there is none.
        p_value_holm: Adjusted for all claims that were tested.
        why: By which test, or what is missing.
        scope: What a supported claim speaks of.
    """

    claim: str
    better: str
    worse: str
    difference: float | None = None
    p_value: float | None = None
    p_value_holm: float | None = None
    standing: ClaimStatus
    why: str
    scope: str = ""


def of_group(group: str) -> str:
    """A group in words; the only one has no name."""
    return group or "the study"


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names with commas, the first ones where they are many."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}"
