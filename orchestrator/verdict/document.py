"""The whole verdict, before it is printed: its answer and its tables."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, Final

import pandas as pd

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.formats import interval, number, p_value, points, spread, words
from orchestrator.analysis.frames import over_seeds
from orchestrator.analysis.pairwise import ENOUGH_SEEDS
from orchestrator.analysis.section import Row, Section, count, grouped, percent
from orchestrator.compare.across_studies import pair_row
from orchestrator.compare.document import WARNINGS, Report
from orchestrator.compare.render import json_of
from orchestrator.stats.collapse import find_collapses
from orchestrator.verdict.asked import Claim
from orchestrator.verdict.judging import Verdict
from orchestrator.verdict.said import name_of
from orchestrator.verdict.sealed import Decision
from orchestrator.verdict.slices import Slice

FEW_GROUPS: Final = 20
FEW_IMAGES: Final = 100
MOST_SLICES: Final = 8
"""That a terminal shows."""
DIFFERENCE: Final = interval("difference", "accuracy")
CORRECTED: Final = p_value("p_value_holm")

Sliced = Sequence[tuple[Claim, Sequence[Slice]]]
"""The slices of the models of each claim."""


def compose(verdict: Verdict, slices: Sliced, *, notes: Sequence[str]) -> Report:
    """The report of what was found, with notes that a reader must know."""
    names = " and ".join(map(name_of, verdict.matched.models))
    return _report(
        f"Verdict on {names}",
        _answer(verdict),
        (*notes, *verdict.matched.notes, *_caveats(verdict)),
        _claims_section(verdict),
        _results_section(verdict),
        _pairs_section(verdict),
        *(_slices_section(place, *each) for place, each in enumerate(slices)),
    )


def _report(title: str, answer: Answer, warnings: tuple[str, ...], *sections: Section) -> Report:
    first = Section(key="warnings", title=WARNINGS, notes=warnings, place="terminal")
    shown = tuple(section for section in (first, *sections) if section.says_something)
    return Report(title=title, demo=(), answer=answer, sections=shown)


def _caveats(verdict: Verdict) -> Iterator[str]:
    images = len(verdict.matched.images)
    if not verdict.matched.probable:
        yield "Not all files have probabilities, so there is no loss."
    if images < FEW_IMAGES:
        there = "is 1 test image" if images == 1 else f"are {images} test images"
        yield f"There {there}; only large differences show in so few."
    if verdict.groups is not None and verdict.groups < FEW_GROUPS:
        yield f"There are {verdict.groups} groups; only large differences show in so few."
    for each in find_collapses(verdict.matched.runs):
        yield (
            f"{name_of(each.run.model)} seed {each.run.seed}: this training collapsed "
            f"({percent(each.accuracy)}, its others {percent(each.others)}), so intervals of this "
            "model promise more than they hold."
        )


def _answer(verdict: Verdict) -> Answer:
    claims = verdict.claims
    against_one = verdict.asked.baseline is not None
    headline = _decided(verdict) if against_one else _leader(verdict)
    once = claims[0].seeds == 1
    headline = f"Of these trained networks: {headline}" if once else _begun(headline)
    listed = claims if against_one and len(claims) > 1 else ()
    each = (f"{_begun(_sentence(verdict, claim))}." for claim in listed)
    return Answer(headline=headline, details=(*each, _measured(verdict)))


def _begun(sentence: str) -> str:
    """A sentence whose first word is one of ours, with a capital; names stay as they are."""
    ours = ("the two best", "it is not")
    return sentence[0].upper() + sentence[1:] if sentence.startswith(ours) else sentence


def _measured(verdict: Verdict) -> str:
    """What the answer is based on."""
    images = f"{count(len(verdict.matched.images))} test images"
    if verdict.groups is not None:
        images += f" in {count(verdict.groups)} groups that are taken as wholes"
    seeds = sorted({len(verdict.matched.of_model(model)) for model in verdict.matched.models})
    if seeds[0] == 1:
        return (
            f"Measured on {images}. With one training of a model nothing is known of training "
            "noise: this is about these trained networks, not about how they were made."
        )
    trainings = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    few = ", with which intervals are very wide" if seeds[0] < ENOUGH_SEEDS else ""
    return (
        f"Measured on {images}, as means over {trainings} trainings{few}; intervals cover the "
        "noise of test images and of training."
    )


def _decided(verdict: Verdict) -> str:
    """What holds of all candidates against the baseline."""
    asked, claims = verdict.asked, verdict.claims
    if len(claims) == 1:
        return f"{_sentence(verdict, claims[0])}."
    held = [claim.names["candidate"] for claim in claims if claim.held]
    listed = f": {', '.join(held)}" if held else ""
    verb = "can be told apart from"
    if asked.decides:
        verb = f"are shown to be {asked.words.removeprefix('is ')}"
    return f"{len(held)} of {len(claims)} models {verb} {claims[0].names['baseline']}{listed}."


def _sentence(verdict: Verdict, claim: Claim) -> str:
    a, b = claim.names.values()
    if verdict.asked.decides:
        start = f"{'' if claim.held else 'it is not shown that '}{a} {verdict.asked.words} {b}"
    elif claim.held:
        start = f"{a} is {'more' if claim.difference > 0 else 'less'} accurate than {b}"
    else:
        start = f"{a} and {b} cannot be told apart"
    return f"{start} ({_figures(verdict, claim)})"


def _figures(verdict: Verdict, claim: Claim) -> str:
    difference, low, high = (100 * each for each in (claim.difference, claim.low, claim.high))
    corrected = "corrected " if len(verdict.claims) > 1 else ""
    return (
        f"{difference:+z.2f} percentage points, 95% interval {low:+z.2f} to {high:+z.2f}, "
        f"{corrected}p {CORRECTED.cell(claim.row())}"
    )


def _leader(verdict: Verdict) -> str:
    """Which of all models is the most accurate, if any is for certain."""
    tested = verdict.tested
    accuracies = {
        model: tested.seeds_of(tested.of_model(model), "accuracy").mean
        for model in verdict.matched.models
    }
    first, second = sorted(accuracies, key=lambda model: -accuracies[model])[:2]
    claim = next(c for c in verdict.claims if {c.candidate, c.baseline} == {first, second})
    figures = _figures(verdict, claim if claim.candidate == first else claim.turned)
    one, other = (f"{name_of(m)} ({percent(accuracies[m])})" for m in (first, second))
    if len(accuracies) > len((first, second)):
        if claim.held:
            return f"{one} is the most accurate of {len(accuracies)}, above {other}: {figures}."
        return f"the two best cannot be told apart, {one} and {other}: {figures}."
    if claim.held:
        return f"{one} is more accurate than {other}: {figures}."
    return f"{one} and {other} cannot be told apart: {figures}."


def _claims_section(verdict: Verdict) -> Section:
    asked = verdict.asked
    shown = [c if asked.decides or c.difference >= 0 else c.turned for c in verdict.claims]
    rows = [{**claim.row(), "held": "yes" if claim.held else "no"} for claim in shown]
    first, second, last = (
        ("candidate", "baseline", "held") if asked.decides else ("more accurate", "than", "certain")
    )
    title = {
        "different": "Which differences in test accuracy are certain",
        "better": "Which candidates are more accurate than the baseline",
        "not worse": f"Which candidates are not worse by more than {100 * asked.margin:g} points",
    }[asked.kind]
    return Section(
        key="claims/asked",
        title=title,
        table=pd.DataFrame(rows),
        formats={
            first: words("candidate"),
            second: words("baseline"),
            "points [95% interval]": DIFFERENCE,
            "corrected p": CORRECTED,
            last: words("held"),
        },
        notes=(_how_tested(verdict),),
        place="terminal",
    )


def _how_tested(verdict: Verdict) -> str:
    """What p and interval are."""
    correction = "corrected by Holm for all that was asked"
    if verdict.groups is not None:
        return f"Groups of images are resampled as wholes; p is that of the interval, {correction}."
    if verdict.asked.margin:
        return f"p is the smallest alpha whose interval lies above the margin, {correction}."
    if len(verdict.matched.runs) == len(verdict.matched.models):
        return f"p is McNemar's exact one, {correction}."
    return (
        f"p is that of an interval which does not rely on resampling alone, {correction}; with few "
        "images it is larger than that of the interval shown."
    )


def _results_section(verdict: Verdict) -> Section:
    metrics, point = verdict.metrics, verdict.tested.estimates.point
    runs = pd.DataFrame(
        {"model": name_of(run.model), **{name: float(point[name][place]) for name in metrics}}
        for run, place in zip(verdict.tested.runs, verdict.tested.places, strict=True)
    )
    return Section(
        key="results/models",
        title="Test results",
        table=over_seeds(runs, ("model",), metrics),
        formats={
            "model": words("model"),
            **{name: spread(name, name) for name in metrics},
            "trainings": number("seeds"),
        },
        notes=("Precision and recall are macro averages; the loss is in nats.",),
        place="terminal",
    )


def _pairs_section(verdict: Verdict) -> Section:
    means = [
        row for row in verdict.pairs if row["seed"] is None and row["metric"] in verdict.metrics
    ]
    return Section(
        key="pairs/means",
        title="Every pair in every metric",
        table=pd.DataFrame([pair_row(own, ("a", "b")) for _, own in grouped(means, "a", "b")]),
        formats={
            "a": words("a"),
            "minus b": words("b"),
            **{name: interval(name, name) for name in verdict.metrics},
            "corrected p": CORRECTED,
        },
        notes=(
            "Differences a - b with 95% intervals, accuracy in points; p is of accuracy, corrected "
            "by Holm for all pairs: what `compare` says of a study.",
        ),
        place="document",
    )


def _slices_section(place: int, claim: Claim, slices: Sequence[Slice]) -> Section:
    shown = {
        "column": words("column"),
        "value": words("value"),
        "images": number("images"),
        "points [95% interval]": DIFFERENCE,
        "elsewhere": points("elsewhere"),
        "corrected p": CORRECTED,
    }
    summary = "No part has six images or more that one of the two alone is right on"
    if slices:
        certain = sum(each.certain for each in slices)
        summary = f"{certain} of {len(slices)} parts differ with certainty"
    return Section(
        key=f"classes/{place}",
        title=f"Where the difference lives: {claim.subtraction}",
        table=pd.DataFrame([each.row() for each in slices]),
        formats={
            **shown,
            "gained": number("better", ",.3g"),
            "lost": number("worse", ",.3g"),
            "certain": words("certain"),
        },
        notes=(
            f"{summary}; p is corrected by Holm for all parts of all columns. Of a confusion a "
            "plus means that it happens less often. Parts overlap: one cause shows in several.",
        ),
        place="terminal",
        narrow=shown,
        most=MOST_SLICES,
    )


def sealed_report(
    verdict: Verdict, decisions: Sequence[Decision], log: Sequence[Row], *, notes: Sequence[str]
) -> Report:
    """What is said of a sealed test set: the decisions, and no number of it."""
    rows = [
        {
            **claim.names,
            "look": decision.look,
            "level": decision.level,
            "decision": "held" if decision.held else "not shown",
        }
        for claim, decision in zip(verdict.claims, decisions, strict=True)
    ]
    clauses = [
        f"{row['candidate']} {verdict.asked.words} {row['baseline']}: {row['decision']}"
        for row in rows
    ]
    details = [
        "Numbers stay sealed, so that the next model is not built on them; --open shows them, and "
        "the log says so."
    ]
    if any(decision.again for decision in decisions):
        details.append(
            "Looked at before with the same predictions: the same answer, nothing spent."
        )
    decided = Section(
        key="claims/asked",
        title="Decisions",
        table=pd.DataFrame(rows),
        formats={
            "candidate": words("candidate"),
            "baseline": words("baseline"),
            "look": number("look"),
            "p had to be at most": number("level", ".2g"),
            "decision": words("decision"),
        },
        notes=(
            "All looks together hold a false claim in at most 5% of histories, for models built in "
            "any way on earlier decisions.",
        ),
        place="terminal",
    )
    return _report(
        f"Verdict, look {decisions[-1].look} at this test set",
        Answer(headline=f"{'; '.join(clauses)}.", details=tuple(details)),
        (*notes, *verdict.matched.notes, *log_notes(log)),
        decided,
    )


def log_notes(log: Sequence[Row]) -> Iterator[str]:
    """What earlier looks leave of the promise."""
    opened = sum(bool(entry["opened"]) for entry in log)
    if opened:
        yield (
            f"Numbers of this test set were shown at {opened} of {len(log)} looks: decisions are "
            "valid for models that were not chosen by them."
        )


def levels(decisions: Sequence[Decision]) -> str:
    """What p had to be at most, where numbers are shown."""
    listed = ", ".join(f"{decision.level:.2g}" for decision in decisions)
    return f"Decided by the log, in which p must be at most {listed} at this look, uncorrected."


def to_json(
    verdict: Verdict, report: Report, sealed: Sequence[Decision] | None = None
) -> dict[str, Any]:
    """What `--format json` prints; of a sealed test set decisions alone.

    docs/VERDICT.md has its keys.
    """
    matched, asked = verdict.matched, verdict.asked
    question = {
        "claim": asked.kind,
        "baseline": asked.baseline and name_of(asked.baseline),
        "margin_points": 100 * asked.margin if asked.kind == "not worse" else None,
    }
    first = {**json_of(report), "sealed": sealed is not None, "question": question}
    if sealed is not None:
        pairs = zip(verdict.claims, sealed, strict=True)
        claims = [{**claim.names, **asdict(decision)} for claim, decision in pairs]
        return {**first, "claims": claims, "held": verdict.held}
    return {
        **first,
        "images": len(matched.images),
        "groups": verdict.groups,
        "classes": list(matched.classes),
        "models": {
            name_of(model): [run.seed for run in matched.of_model(model)]
            for model in matched.models
        },
        "claims": [claim.row() for claim in verdict.claims],
        "pairs": [row for row in verdict.pairs if row["metric"] in verdict.metrics],
        "held": verdict.held,
        "warnings": list(report.warnings),
    }
