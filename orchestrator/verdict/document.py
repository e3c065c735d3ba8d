"""The whole verdict, before it is printed: its answer and its tables."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
import pandas as pd

from orchestrator.analysis.answer import Answer
from orchestrator.analysis.formats import interval, number, p_value, points, spread, words
from orchestrator.analysis.frames import over_seeds
from orchestrator.analysis.pairwise import ENDS, ENOUGH_SEEDS
from orchestrator.analysis.section import Row, Section, count, grouped, percent
from orchestrator.compare.document import WARNINGS, Report
from orchestrator.results.rows import Model
from orchestrator.stats import bootstrap
from orchestrator.stats.bootstrap import Integers
from orchestrator.stats.collapse import find_collapses
from orchestrator.stats.differences import METRICS, TestedRuns
from orchestrator.stats.pairwise import compare_models
from orchestrator.verdict.asked import Claim, Question, test
from orchestrator.verdict.faults import FaultsError
from orchestrator.verdict.matching import Matched, name_of
from orchestrator.verdict.said import Texts
from orchestrator.verdict.sealed import Decision, Log
from orchestrator.verdict.slices import Slice, find_slices

FEW_GROUPS: Final = 20
FEWEST_GROUPS: Final = 2
FEW_IMAGES: Final = 100
MOST_SLICES: Final = 8
"""That a terminal shows."""


Sliced = Sequence[tuple[tuple[Model, Model], Sequence[Slice]]]
"""Candidate and baseline to their slices."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What was found.

    Attributes:
        matched: The models.
        asked: What was asked of them.
        claims: What holds of it.
        tested: All runs.
        pairs: Every pair in every metric: rows as of `comparison.parquet`.
        groups: How many groups of images there are; None where each image is alone.
    """

    matched: Matched
    asked: Question
    claims: Sequence[Claim]
    tested: TestedRuns
    pairs: Sequence[Row]
    groups: int | None = None

    @property
    def held(self) -> bool:
        """Whether everything that was claimed holds."""
        return not self.asked.decides or all(claim.held for claim in self.claims)

    def decided(self, held: Sequence[bool]) -> "Verdict":
        """The same, with decisions that were made elsewhere."""
        pairs = zip(self.claims, held, strict=True)
        return replace(self, claims=[replace(claim, held=each) for claim, each in pairs])


def judge(
    matched: Matched,
    asked: Question,
    *,
    groups: Texts | None = None,
    draws: int = bootstrap.DRAWS,
) -> Verdict:
    """Compares all models, and tests what was asked.

    Args:
        matched: The models.
        asked: What was asked of them.
        groups: What images that belong together have in common, [images].
        draws: Of the bootstrap.

    Raises:
        FaultsError: There are too few groups.
    """
    numbers = None if groups is None else _numbered(groups)
    tested = TestedRuns.of(matched.runs, draws, numbers)
    shared = {"n_images": len(matched.images)}
    pairs = [{**shared, **row} for row in compare_models(tested, matched.models)]
    return Verdict(
        matched=matched,
        asked=asked,
        claims=test(matched, asked, tested),
        tested=tested,
        pairs=pairs,
        groups=None if numbers is None else int(numbers.max()) + 1,
    )


def _numbered(groups: Texts) -> Integers:
    lacking = sum(value is None for value in groups)
    if lacking:
        raise FaultsError([f"--groups must have a value for each image, but {lacking:,} have none"])
    names, numbers = np.unique(groups.astype(str), return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        raise FaultsError([f"--groups must be two or more, but all images are of {names[0]!r}"])
    return np.asarray(numbers)


def slices_of(verdict: Verdict, columns: Mapping[str, Texts]) -> Sliced:
    """The slices of each pair that was asked about.

    Args:
        verdict: What was found.
        columns: What slices are made of, beside classes and confusions.
    """
    pairs = [(claim.candidate, claim.baseline) for claim in verdict.claims]
    groups = verdict.tested.groups
    return [(pair, find_slices(verdict.matched, pair, columns, groups)) for pair in pairs]


def compose(verdict: Verdict, slices: Sliced, *, notes: Sequence[str]) -> Report:
    """The report.

    Args:
        verdict: What was found.
        slices: From `slices_of`.
        notes: What a reader must know.
    """
    warnings = (*notes, *verdict.matched.notes, *_caveats(verdict))
    sections = (
        _warnings(warnings),
        _claims_section(verdict),
        _results_section(verdict),
        _pairs_section(verdict),
        *(_slices_section(number_, *each) for number_, each in enumerate(slices)),
    )
    names = " and ".join(name_of(model) for model in verdict.matched.models)
    return Report(
        title=f"Verdict on {names}",
        demo=(),
        answer=_answer(verdict),
        sections=tuple(section for section in sections if section.says_something),
    )


def _warnings(lines: tuple[str, ...]) -> Section:
    return Section(key="warnings", title=WARNINGS, notes=lines, place="terminal")


def _caveats(verdict: Verdict) -> Iterator[str]:
    images = len(verdict.matched.images)
    if not verdict.matched.probable:
        yield "Not all files have probabilities, so there is no loss."
    if images < FEW_IMAGES:
        yield f"There are {images} test images; only large differences show in so few."
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
    headline = _decided(verdict) if verdict.asked.baseline is not None else _leader(verdict)
    once = claims[0].seeds == 1
    headline = f"Of these trained networks: {headline}" if once else _begun(headline)
    several = verdict.asked.baseline is not None and len(claims) > 1
    each = [f"{_begun(_sentence(verdict, claim))}." for claim in claims] if several else []
    return Answer(headline=headline, details=(*each, *_details(verdict)))


def _begun(sentence: str) -> str:
    """A sentence whose first word is one of ours, with a capital; names stay as they are."""
    ours = ("the two best", "it is not")
    return sentence[0].upper() + sentence[1:] if sentence.startswith(ours) else sentence


def _details(verdict: Verdict) -> Iterator[str]:
    images = count(len(verdict.matched.images))
    seeds = sorted({len(verdict.matched.of_model(model)) for model in verdict.matched.models})
    what = f"{images} test images"
    if verdict.groups is not None:
        what += f" in {count(verdict.groups)} groups that are taken as wholes"
    if seeds[0] == 1:
        yield (
            f"Measured on {what}. With one training of a model nothing is known of training noise: "
            "this is about these trained networks, not about how they were made."
        )
    else:
        trainings = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        few = ", with which intervals are very wide" if seeds[0] < ENOUGH_SEEDS else ""
        yield (
            f"Measured on {what}, as means over {trainings} trainings{few}; intervals cover the "
            "noise of test images and of training."
        )


def _decided(verdict: Verdict) -> str:
    """What holds of all candidates against the baseline."""
    asked, claims = verdict.asked, verdict.claims
    if len(claims) == 1:
        return f"{_sentence(verdict, claims[0])}."
    assert asked.baseline is not None
    held = [name_of(claim.candidate) for claim in claims if claim.held]
    listed = f": {', '.join(held)}" if held else ""
    what = "can be told apart from" if not asked.decides else asked.words
    if asked.decides:
        what = f"are shown to be {asked.words.removeprefix('is ')}"
    return f"{len(held)} of {len(claims)} models {what} {name_of(asked.baseline)}{listed}."


def _sentence(verdict: Verdict, claim: Claim) -> str:
    asked = verdict.asked
    a, b = name_of(claim.candidate), name_of(claim.baseline)
    if asked.decides:
        words_of = asked.words
        start = f"{a} {words_of} {b}" if claim.held else f"it is not shown that {a} {words_of} {b}"
    elif not claim.held:
        start = f"{a} and {b} cannot be told apart"
    else:
        start = f"{a} is {'more' if claim.difference > 0 else 'less'} accurate than {b}"
    return f"{start} ({_figures(claim, corrected=len(verdict.claims) > 1)})"


def _figures(claim: Claim, *, corrected: bool) -> str:
    difference, low, high = (100 * each for each in (claim.difference, claim.low, claim.high))
    p = f"{claim.p_value_holm:.4f}" if claim.p_value_holm >= SMALLEST_SHOWN else "below 0.0001"
    return (
        f"{difference:+z.2f} percentage points, 95% interval {low:+z.2f} to {high:+z.2f}, "
        f"{'corrected ' if corrected else ''}p {p}"
    )


SMALLEST_SHOWN: Final = 0.0001


def _leader(verdict: Verdict) -> str:
    """Which of all models is the most accurate, if any can be told to be."""
    accuracies = _accuracies(verdict)
    first, second = sorted(accuracies, key=lambda model: -accuracies[model])[:2]
    claim = next(
        each for each in verdict.claims if {each.candidate, each.baseline} == {first, second}
    )
    if claim.candidate != first:
        claim = _turned(claim)
    among = f" of {len(accuracies)}" if len(accuracies) > len((first, second)) else ""
    figures = _figures(claim, corrected=len(verdict.claims) > 1)
    one, other = (f"{name_of(m)} ({percent(accuracies[m])})" for m in (first, second))
    if claim.held:
        verb = f"is the most accurate{among}, above" if among else "is more accurate than"
        return f"{one} {verb} {other}: {figures}."
    best = "the two best cannot be told apart, " if among else ""
    return f"{best}{one} and {other}{'' if among else ' cannot be told apart'}: {figures}."


def _turned(claim: Claim) -> Claim:
    """The same difference as the baseline minus the candidate."""
    return replace(
        claim,
        candidate=claim.baseline,
        baseline=claim.candidate,
        difference=0 - claim.difference,
        low=0 - claim.high,
        high=0 - claim.low,
    )


def _accuracies(verdict: Verdict) -> dict[Model, float]:
    return {
        model: verdict.tested.seeds_of(verdict.tested.of_model(model), "accuracy").mean
        for model in verdict.matched.models
    }


def _metrics(verdict: Verdict) -> list[str]:
    return [name for name in METRICS if name != "loss" or verdict.matched.probable]


def _claims_section(verdict: Verdict) -> Section:
    asked = verdict.asked
    rows = []
    for claim in verdict.claims:
        shown = claim if asked.decides or claim.difference >= 0 else _turned(claim)
        rows.append({**shown.row(), "held": "yes" if claim.held else "no"})
    sides = ("candidate", "baseline") if asked.decides else ("more accurate", "than")
    what = "held" if asked.decides else "certain"
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
            sides[0]: words("candidate"),
            sides[1]: words("baseline"),
            "points [95% interval]": interval("difference", "accuracy"),
            "corrected p": p_value("p_value_holm"),
            what: words("held"),
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
    metrics, point = _metrics(verdict), verdict.tested.estimates.point
    runs = pd.DataFrame(
        {
            "model": name_of(run.model),
            **{name: float(point[name][place]) for name in metrics},
        }
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
    """Every pair in every metric, of the means over seeds."""
    means = grouped([row for row in verdict.pairs if row["seed"] is None], *SIDES)
    rows = []
    for _, own in means:
        of_metric = {row["metric"]: row for row in own}
        rows.append(
            {
                **{
                    side: name_of((own[0][f"{side}_family"], own[0][f"{side}_role"]))
                    for side in "ab"
                },
                **{
                    f"{metric}{end}": of_metric[metric][name]
                    for metric in _metrics(verdict)
                    for name, end in ENDS.items()
                },
                "p_value_holm": of_metric["accuracy"]["p_value_holm"],
            }
        )
    return Section(
        key="pairs/means",
        title="Every pair in every metric",
        table=pd.DataFrame(rows),
        formats={
            "a": words("a"),
            "minus b": words("b"),
            **{name: interval(name, name) for name in _metrics(verdict)},
            "corrected p": p_value("p_value_holm"),
        },
        notes=(
            "Differences a - b with 95% intervals, accuracy in points; p is of accuracy, corrected "
            "by Holm for all pairs: what `compare` says of a study.",
        ),
        place="document",
    )


SIDES: Final = ("a_family", "a_role", "b_family", "b_role")


def _slices_section(number_: int, pair: tuple[Model, Model], slices: Sequence[Slice]) -> Section:
    a, b = map(name_of, pair)
    shown = {
        "column": words("column"),
        "value": words("value"),
        "images": number("images"),
        "points [95% interval]": interval("difference", "accuracy"),
        "elsewhere": points("elsewhere"),
        "corrected p": p_value("p_value_holm"),
    }
    certain = sum(each.certain for each in slices)
    summary = (
        f"{certain} of {len(slices)} parts differ with certainty"
        if slices
        else ("No part has six images or more that one of the two alone is right on")
    )
    return Section(
        key=f"classes/{number_}",
        title=f"Where the difference lives: {a} minus {b}",
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
    verdict: Verdict, decisions: Sequence[Decision], log: Log, *, notes: Sequence[str]
) -> Report:
    """What is said of a sealed test set: the decisions, and no number of it."""
    asked, pairs = verdict.asked, [*zip(verdict.claims, decisions, strict=True)]
    sentences = [
        f"{name_of(claim.candidate)} {asked.words} {name_of(claim.baseline)}: "
        f"{'held' if decision.held else 'not shown'}"
        for claim, decision in pairs
    ]
    table = pd.DataFrame(
        {
            "candidate": name_of(claim.candidate),
            "baseline": name_of(claim.baseline),
            "look": decision.look,
            "level": decision.level,
            "decision": "held" if decision.held else "not shown",
        }
        for claim, decision in pairs
    )
    details = [
        "Numbers stay sealed, so that the next model is not built on them; --open shows them, and "
        "the log says so."
    ]
    if any(decision.again for decision in decisions):
        details.append(
            "Looked at before with the same predictions: the same answer, nothing spent."
        )
    warnings = (*notes, *verdict.matched.notes, *log_notes(log))
    return Report(
        title=f"Verdict, look {decisions[-1].look} at this test set",
        demo=(),
        answer=Answer(headline=f"{'; '.join(sentences)}.", details=tuple(details)),
        sections=(
            *([_warnings(warnings)] if warnings else []),
            Section(
                key="claims/asked",
                title="Decisions",
                table=table,
                formats={
                    "candidate": words("candidate"),
                    "baseline": words("baseline"),
                    "look": number("look"),
                    "p had to be at most": number("level", ".2g"),
                    "decision": words("decision"),
                },
                notes=(
                    "All looks together hold a false claim in at most 5% of histories, for models "
                    "built in any way on earlier decisions.",
                ),
                place="terminal",
            ),
        ),
    )


def log_notes(log: Log) -> Iterator[str]:
    """What earlier looks leave of the promise."""
    if log.opened:
        yield (
            f"Numbers of this test set were shown at {log.opened} of {len(log.entries)} looks: "
            "decisions are valid for models that were not chosen by them."
        )


def levels(decisions: Sequence[Decision]) -> Iterator[str]:
    """What p had to be at most, where numbers are shown."""
    listed = ", ".join(f"{decision.level:.2g}" for decision in decisions)
    yield f"Decided by the log, in which p must be at most {listed} at this look, uncorrected."


def sealed_json(
    verdict: Verdict, decisions: Sequence[Decision], plain: Mapping[str, object]
) -> dict[str, Any]:
    """What `--format json` prints of a sealed test set: decisions alone."""
    return {
        **plain,
        "sealed": True,
        "question": _question(verdict.asked),
        "claims": [
            {
                "candidate": name_of(claim.candidate),
                "baseline": name_of(claim.baseline),
                **asdict(decision),
            }
            for claim, decision in zip(verdict.claims, decisions, strict=True)
        ],
        "held": verdict.held,
    }


def _question(asked: Question) -> dict[str, Any]:
    return {
        "claim": asked.kind,
        "baseline": asked.baseline and name_of(asked.baseline),
        "margin_points": 100 * asked.margin if asked.kind == "not worse" else None,
    }


def to_json(verdict: Verdict, report: Report, plain: Mapping[str, object]) -> dict[str, Any]:
    """What `--format json` prints; docs/VERDICT.md has its keys.

    Args:
        verdict: What was found.
        report: As it is shown.
        plain: The report as `compare.render.json_of` gives it.
    """
    return {
        **plain,
        "sealed": False,
        "question": _question(verdict.asked),
        "images": len(verdict.matched.images),
        "groups": verdict.groups,
        "classes": list(verdict.matched.classes),
        "models": {
            name_of(model): [run.seed for run in verdict.matched.of_model(model)]
            for model in verdict.matched.models
        },
        "claims": [claim.row() for claim in verdict.claims],
        "pairs": [
            {
                "a": name_of((row["a_family"], row["a_role"])),
                "b": name_of((row["b_family"], row["b_role"])),
                **{name: value for name, value in row.items() if name not in SIDES},
            }
            for row in verdict.pairs
            if row["metric"] != "loss" or verdict.matched.probable
        ],
        "held": verdict.held,
        "warnings": [
            line for each in report.sections if each.key == "warnings" for line in each.notes
        ],
    }
