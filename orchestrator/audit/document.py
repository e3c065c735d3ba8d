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
from orchestrator.audit.budget_use import (
    BudgetUse,
    check_baseline,
    check_budget_use,
    measure_budget_use,
)
from orchestrator.audit.claims import judge_claims
from orchestrator.audit.finding import SIN, Claim, Finding, of_group
from orchestrator.audit.foreign import ForeignStudy
from orchestrator.audit.selection_bias import (
    Noise,
    SelectionBias,
    measure_noise,
    measure_selection_bias,
)
from orchestrator.audit.test_use import check_test_use
from orchestrator.cli import counted
from orchestrator.compare.document import Report
from orchestrator.terminal import fitting_table

SOURCES: Final = {
    "seeds": "trainings that differ in their seed alone",
    "folds": "the parts of the cross-validation",
    "images": "the number of validation images; of images that all trials share it is at most that",
}


@dataclass(frozen=True, kw_only=True)
class Audit:
    """What was found in a study; the noise of one measurement is None where it is not known."""

    study: ForeignStudy
    findings: list[Finding]
    uses: list[BudgetUse]
    noise: Noise | None
    selection_biases: list[SelectionBias]
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
            f"{study.raw.path} has one of {study.metric or study.test_metric}"
        )
    uses = measure_budget_use(study)
    findings = [check_baseline(study), *check_budget_use(study, uses), *check_test_use(study)]
    noise = measure_noise(study)
    selection_biases = list(measure_selection_bias(study, noise))
    return Audit(
        study=study,
        findings=findings,
        uses=uses,
        noise=noise,
        selection_biases=selection_biases,
        claims=judge_claims(study, findings, noise, selection_biases),
    )


def headline(result: Audit) -> str:
    """The answer in one sentence."""
    statuses = [claim.standing for claim in result.claims]
    claims = (
        f"of {counted(len(statuses), 'claim')} {statuses.count('supported')} supported, "
        f"{statuses.count('not supported')} not, {statuses.count('cannot be told')} cannot be told"
        if statuses
        else "there is nothing to claim: one group, and no baseline"
    )
    sins = counted(len(result.sins), "sin") if result.sins else "No sin found"
    return f"{sins}; {claims}."


def json_of(result: Audit) -> dict[str, Any]:
    """An audit for programs; docs/JSON.md has the schema."""
    study, noise = result.study, result.noise and asdict(result.noise)
    if noise and math.isinf(noise["degrees"]):
        noise["degrees"] = None
    return {
        "path": str(study.raw.path),
        "format": study.raw.form,
        "trials": len(study.trials),
        "usable_trials": len(study.usable),
        "read_as": _read_as(study),
        "headline": headline(result),
        "findings": list(map(asdict, result.findings)),
        "noise": noise,
        "optimism": list(map(asdict, result.selection_biases)),
        "effort": list(map(asdict, result.uses)),
        "claims": list(map(asdict, result.claims)),
    }


def report_of(result: Audit) -> Report:
    """An audit as a title, an answer's worth of sections, for Markdown."""
    worded_sections = [("answer", "Answer", [headline(result), _about(result.study)])]
    worded_sections += [
        (f"finding-{place}", _title(finding), [finding.sentence, *finding.evidence])
        for place, finding in enumerate(result.findings)
    ]
    return Report(
        title=f"Audit of {result.study.raw.path.name}",
        demo=(),
        sections=(
            *(
                worded(key=f"audit/{key}", title=title, notes=notes, place="document")
                for key, title, notes in worded_sections
            ),
            *_tables(result),
        ),
    )


def print_audit(console: Console, result: Audit) -> None:
    """Prints an audit for people; what was found wrong comes first, the answer last."""
    console.print(Text(f"Audit of {result.study.raw.path.name}", style="bold"))
    console.print(Text(_about(result.study)))
    for finding in sorted(result.findings, key=lambda finding: finding.verdict != SIN):
        console.print(Text(f"\n{_title(finding)}", style="bold"))
        console.print(Text(finding.sentence))
        for line in finding.evidence:
            console.print(Text(f"- {line}"))
    for section in _tables(result):
        console.print(Text(f"\n{section.title}", style="bold"))
        if len(section.table):
            headings = tuple(section.formats)
            console.print(fitting_table(headings, section.cells(), console.width, left=headings))
        for line in section.notes:
            console.print(Text(f"- {line}"))
    console.print(Text(f"\n{headline(result)}", style="bold"))


def _title(finding: Finding) -> str:
    answer = f"SIN: {finding.name}" if finding.verdict == SIN else finding.verdict
    return f"{finding.check.capitalize()}: {answer}"


def _about(study: ForeignStudy) -> str:
    """What was read, and which entry was taken for what."""
    read = "; ".join(f"{what}: {name}" for what, name in _read_as(study).items() if name)
    more = "more is better" if study.sign > 0 else "less is better"
    return f"{study.raw.form}, {counted(len(study.trials), 'trial')}. Read as {read}; {more}."


def _read_as(study: ForeignStudy) -> dict[str, str | None]:
    return {
        "metric": study.metric,
        "test metric": study.test_metric,
        "group": study.group_name,
        "seed": study.seed_name,
    }


def _tables(result: Audit) -> Iterator[Section]:
    claims = [
        f"{claim.claim}: {claim.why}.{f' It speaks of {claim.scope}.' if claim.scope else ''}"
        for claim in result.claims
    ]
    yield Section(
        key="audit/claims",
        title="Which claims survive",
        table=pd.DataFrame(map(asdict, result.claims)),
        formats={
            "claim": words("claim"),
            "by": number("difference", "+.4g"),
            "corrected p": p_value("p_value_holm"),
            "stands": words("standing"),
        },
        notes=tuple(claims) or ("There are no two groups, and no baseline is known.",),
        place="document",
    )
    noise, group = result.noise, Format(("group",), of_group)
    of_best = (
        "How far the best is luck cannot be told from these files: no configuration has two seeds, "
        "there are no folds, and --validation-images was not given."
        if noise is None
        else f"One measurement has a standard deviation of {noise.deviation:.3g}, by "
        f"{SOURCES[noise.source]}; luck is the expected noise of the best (Cawley and Talbot 2010; "
        "Efron 2011)."
    )
    half = "Expected best of half as many trials, drawn at random: Dodge et al. (2019)."
    yield Section(
        key="audit/optimism",
        title="How good the best of N looks",
        table=pd.DataFrame(map(asdict, result.selection_biases)),
        formats={
            "group": group,
            "N": number("configs"),
            "best": number("value", ".4g"),
            "expected best of half": number("expected_half", ".4g"),
            "of it luck": number("optimism", ".2g"),
        },
        notes=(of_best, half),
        place="document",
    )
    yield Section(
        key="audit/effort",
        title="What each group was given",
        table=pd.DataFrame(map(asdict, result.uses)),
        formats={
            "group": group,
            **{name: number(name) for name in ("trials", "configs", "failed", "stopped", "epochs")},
            "seconds": number("seconds", ".4g"),
        },
        notes=("A configuration counts once, however many seeds it has.",),
        place="document",
    )
