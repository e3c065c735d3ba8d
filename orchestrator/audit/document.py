"""The whole audit: questions and answers, claims, effort and optimism, as text, Markdown, JSON."""

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import pandas as pd
from rich.console import Console
from rich.text import Text

from orchestrator.analysis.formats import number, p_value, words
from orchestrator.analysis.section import Format, Section, worded
from orchestrator.audit.baseline import check_baseline
from orchestrator.audit.claims import judge_claims
from orchestrator.audit.effort import Effort, check_effort, measure_effort
from orchestrator.audit.finding import SIN, Claim, Finding, count, of_group
from orchestrator.audit.foreign import ForeignStudy
from orchestrator.audit.optimism import Noise, Optimism, measure_noise, measure_optimism
from orchestrator.audit.test_use import check_test_use
from orchestrator.compare.document import Report
from orchestrator.results.foreign_text import plain_markdown
from orchestrator.terminal import fitting_table

SOURCES: Final = {
    "seeds": "trainings that differ in their seed alone",
    "folds": "the parts of the cross-validation",
    "images": "the number of validation images; of images that all trials share it is at most that",
}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found in a study.

    Attributes:
        study: As it was read.
        findings: An answer to each question, or several sins.
        efforts: What each group was given.
        noise: Of one measurement; None where it is not known.
        optimisms: Of each group's best.
        claims: What may be claimed.
    """

    study: ForeignStudy
    findings: list[Finding]
    efforts: list[Effort]
    noise: Noise | None
    optimisms: list[Optimism]
    claims: list[Claim]

    @property
    def sins(self) -> list[Finding]:
        """What was found wrong."""
        return [finding for finding in self.findings if finding.verdict == SIN]


def audit(study: ForeignStudy) -> Audit:
    """Asks all questions of a study.

    Raises:
        ValueError: No trial has a result.
    """
    if not study.usable:
        raise ValueError(
            f"a study must have a trial with a result, but none of {len(study.trials)} in "
            f"{study.path} has one of {study.metric or study.test_metric}"
        )
    efforts = measure_effort(study)
    findings = [
        *check_baseline(study),
        *check_effort(study, efforts),
        *check_test_use(study),
    ]
    noise = measure_noise(study)
    optimisms = measure_optimism(study, noise)
    return Audit(
        study=study,
        findings=findings,
        efforts=efforts,
        noise=noise,
        optimisms=optimisms,
        claims=judge_claims(study, findings, noise, optimisms),
    )


def headline(found: Audit) -> str:
    """The answer in one sentence."""
    statuses = [claim.standing for claim in found.claims]
    claims = (
        f"of {count(len(statuses), 'claim')} {statuses.count('supported')} supported, "
        f"{statuses.count('not supported')} not, {statuses.count('cannot be told')} cannot be told"
        if statuses
        else "there is nothing to claim: one group, and no baseline"
    )
    sins = "No sin found" if not found.sins else count(len(found.sins), "sin")
    return f"{sins}; {claims}."


def json_of(found: Audit) -> dict[str, Any]:
    """An audit for programs; docs/JSON.md has the schema."""
    study, noise = found.study, found.noise
    return {
        "path": str(study.path),
        "format": study.form,
        "trials": len(study.trials),
        "usable_trials": len(study.usable),
        "read_as": _read_as(study),
        "headline": headline(found),
        "findings": [asdict(finding) for finding in found.findings],
        "noise": None if noise is None else {**asdict(noise), "degrees": _finite(noise.degrees)},
        "optimism": [asdict(each) for each in found.optimisms],
        "effort": [asdict(each) for each in found.efforts],
        "claims": [asdict(claim) for claim in found.claims],
    }


def report_of(found: Audit) -> Report:
    """An audit as a title, an answer's worth of sections, for Markdown."""
    study = found.study
    return Report(
        title=f"Audit of {study.path.name}",
        demo=(),
        sections=(
            worded(
                key="audit/answer",
                title="Answer",
                notes=(headline(found), _what(study)),
                place="document",
            ),
            *(_finding_section(place, each) for place, each in enumerate(found.findings)),
            *_tables(found),
        ),
    )


def print_audit(console: Console, found: Audit) -> None:
    """Prints an audit for people; what was found wrong comes first, the answer last."""
    study = found.study
    console.print(Text(f"Audit of {study.path.name}", style="bold"))
    console.print(Text(_what(study)))
    for finding in sorted(found.findings, key=lambda each: each.verdict != SIN):
        console.print(Text(f"\n{_title(finding)}", style="bold"))
        console.print(Text(finding.sentence))
        for line in finding.evidence:
            console.print(Text(f"- {line}"))
    for section in _tables(found):
        console.print(Text(f"\n{section.title}", style="bold"))
        if len(section.table):
            headings = tuple(section.formats)
            console.print(fitting_table(headings, section.cells(), console.width, left=headings))
        for line in section.notes:
            console.print(Text(f"- {line}"))
    console.print(Text(f"\n{headline(found)}", style="bold"))


def _title(finding: Finding) -> str:
    what = f"SIN: {finding.name}" if finding.verdict == SIN else finding.verdict
    return f"{finding.check[0].upper()}{finding.check[1:]}: {what}"


def _finding_section(place: int, finding: Finding) -> Section:
    return worded(
        key=f"audit/finding-{place}",
        title=plain_markdown(_title(finding)),
        notes=(finding.sentence, *finding.evidence),
        place="document",
    )


def _what(study: ForeignStudy) -> str:
    """What was read, and which entry was taken for what."""
    read = "; ".join(f"{what}: {name}" for what, name in _read_as(study).items() if name)
    more = "more is better" if study.sign > 0 else "less is better"
    return f"{study.form}, {count(len(study.trials), 'trial')}. Read as {read}; {more}."


def _read_as(study: ForeignStudy) -> dict[str, str | None]:
    return {
        "metric": study.metric,
        "test metric": study.test_metric,
        "group": study.group_name,
        "seed": study.seed_name,
    }


def _tables(found: Audit) -> Iterator[Section]:
    yield Section(
        key="audit/claims",
        title="Which claims survive",
        table=pd.DataFrame([asdict(claim) for claim in found.claims]),
        formats={
            "claim": words("claim"),
            "by": number("difference", "+.4g"),
            "corrected p": p_value("p_value_holm"),
            "stands": words("standing"),
        },
        notes=tuple(_claim_notes(found)),
        place="document",
    )
    yield Section(
        key="audit/optimism",
        title="How good the best of N looks",
        table=pd.DataFrame(
            [{**asdict(each), "group": of_group(each.group)} for each in found.optimisms]
        ),
        formats={
            "group": words("group"),
            "N": number("configs"),
            "best": number("value", ".4g"),
            "expected best of half": number("expected_half", ".4g"),
            "of it luck": number("optimism", ".2g"),
        },
        notes=tuple(_optimism_notes(found)),
        place="document",
    )
    yield Section(
        key="audit/effort",
        title="What each group was given",
        table=pd.DataFrame(
            [{**asdict(each), "group": of_group(each.group)} for each in found.efforts]
        ),
        formats={
            "group": words("group"),
            **{name: number(name) for name in ("trials", "configs", "failed", "stopped", "epochs")},
            "seconds": Format(("seconds",), lambda seconds: f"{seconds:.4g}"),
        },
        notes=("A configuration counts once, however many seeds it has.",),
        place="document",
    )


def _claim_notes(found: Audit) -> Iterator[str]:
    for claim in found.claims:
        scope = f" It speaks of {claim.scope}." if claim.scope else ""
        yield f"{claim.claim}: {claim.why}.{scope}"
    if not found.claims:
        yield "There are no two groups, and no baseline is known."


def _optimism_notes(found: Audit) -> Iterator[str]:
    noise = found.noise
    if noise is None:
        yield (
            "How far the best is luck cannot be told from these files: no configuration has two "
            "seeds, there are no folds, and --validation-images was not given."
        )
    else:
        yield (
            f"One measurement has a standard deviation of {noise.deviation:.3g}, by "
            f"{SOURCES[noise.source]}; luck is the expected noise of the best (Cawley and Talbot "
            "2010; Efron 2011)."
        )
    yield "Expected best of half as many trials, drawn at random: Dodge et al. (2019)."


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
