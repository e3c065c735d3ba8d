"""Fairness shown: effort per family, tuned against baseline, expected best of k, optimism."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from orchestrator.analysis.section import MISSING, Row, Section, count, percent, points
from orchestrator.analysis.selection import (
    Effort,
    Selection,
    describe_selection,
    expected_best,
    measure_effort,
)

SECONDS_PER_HOUR = 3600
SPENT_EXACTLY = 1.005
"""A share is kept if no more than half a percent above it was spent."""


def fairness_sections(study: Row, trials: pa.Table, final: pa.Table) -> tuple[Section, ...]:
    """The sections on fairness, for `comparison.md` and the terminal.

    Args:
        study: `study.json`, with `families` in its `settings`.
        trials: `trials.parquet`.
        final: `final.parquet`.
    """
    families = study["settings"]["families"]
    selections = describe_selection(families, trials, final)
    return (
        _effort_section(study, measure_effort(families, trials, final)),
        _gain_section(selections),
        _luck_section(selections),
        _optimism_section(selections),
    )


def _effort_section(study: Row, efforts: Sequence[Effort]) -> Section:
    return Section(
        title="Fairness: what each family was given",
        columns=("family", "trials", "epochs", "search device s", "final runs", "finals device s"),
        rows=tuple(
            (
                each.family,
                count(each.trials),
                count(each.epochs),
                f"{each.search_seconds:,.0f}",
                count(each.final_runs),
                f"{each.finals_seconds:,.0f}",
            )
            for each in efforts
        ),
        sentences=(
            _budget_rule(study),
            *_overspent(study, efforts),
            *_effort_sentences(efforts),
        ),
    )


def _budget_rule(study: Row) -> str:
    """What was made equal between the families, in a sentence."""
    settings = study["settings"]
    hours, trials = settings.get("budget_gpu_hours"), settings.get("trials")
    cap = "the same number of trials" if trials is None else f"at most {count(trials)} trials"
    whom = "each family and training share" if settings.get("tune_per_fraction") else "each family"
    # `family_searcher.FamilySearch`: with one trial at a time nothing depends on clocks.
    alone = (study.get("cluster") or {}).get("max_concurrent") == 1
    order = "started the fewest trials" if alone else "used the least device time so far"
    budgets = _budgets(hours, settings.get("time_budget"))
    if budgets:
        return f"Budget rule: {budgets}{_ended(study)}; {cap} for {whom}, its baseline included."
    return (
        f"Budget rule: {cap} for {whom}, its baseline included; device time was not made "
        f"equal. Only the order was balanced: the family that had {order} was always next."
    )


def _budgets(hours: float | None, wall_hours: float | None) -> str:
    """What was to be spent at most."""
    parts = []
    if hours is not None:
        parts.append(f"{hours:g} device-hours, an equal share for each family")
    if wall_hours is not None:
        parts.append(f"{wall_hours:g} hours of wall time")
    return f"{' and '.join(parts)}, finals included" if parts else ""


def _ended(study: Row) -> str:
    """Which searches a budget ended, and after how many trials."""
    closed = study.get("closed") or {}
    if not closed:
        return ", which no search came to the end of"
    listed = ", ".join(
        f"{name} after {why['trials']:,} trial{'s' if why['trials'] > 1 else ''}"
        for name, why in closed.items()
    )
    return f", which ended the search of {listed}"


def _overspent(study: Row, efforts: Sequence[Effort]) -> Iterator[str]:
    """Families that took more than their share: a baseline and the finals run all the same."""
    hours, families = study["settings"].get("budget_gpu_hours"), study["settings"]["families"]
    if hours is None or study["settings"].get("tune_per_fraction"):  # there a row is one search
        return
    share = hours / len(families)
    for each in efforts:
        took = (each.search_seconds + each.finals_seconds) / SECONDS_PER_HOUR
        if took > share * SPENT_EXACTLY:
            yield (
                f"{each.family} took {took:.3g} device-hours, more than its share of {share:.3g}: "
                "a baseline and the finals run whatever they cost, and what runs is not ended."
            )


def _effort_sentences(efforts: Sequence[Effort]) -> Iterator[str]:
    spent = [each for each in efforts if each.search_seconds > 0]
    if len(spent) > 1:
        least, most = (choose(spent, key=lambda each: each.search_seconds) for choose in (min, max))
        ratio = f"{most.search_seconds / least.search_seconds:.2f}"
        if float(ratio) == 1:
            names = ", ".join(each.family for each in spent)
            yield f"The searches of {names} took about the same device-seconds."
        else:
            yield (
                f"The search of {most.family} took {ratio} times the device-seconds of that of "
                f"{least.family}; they had {most.trials:,} and {least.trials:,} trials."
            )
    for each in efforts:
        if not each.search_seconds:
            yield f"{each.family}: no device time was spent on its search."


def _gain_section(selections: Sequence[Selection]) -> Section:
    rows, sentences = [], []
    for each in selections:
        gain = None
        if each.baseline is not None and each.search_validation is not None:
            gain = each.search_validation - each.baseline
        rows.append(
            (
                each.family,
                percent(each.baseline),
                each.winner or MISSING,
                percent(each.search_validation),
                points(gain),
            )
        )
        sentences.append(f"{each.family}: {_gain_sentence(each, gain)}")
    return Section(
        title="Fairness: the best trial against the baseline, on validation",
        columns=("family", "baseline", "best trial", "its accuracy", "gain (points)"),
        rows=tuple(rows),
        sentences=tuple(sentences),
    )


def _gain_sentence(each: Selection, gain: float | None) -> str:
    eligible = f"{len(each.candidates):,} trial{'s' if len(each.candidates) > 1 else ''}"
    if each.winner is None:
        return "no trial can win."
    if each.winner_is_baseline:
        return f"the baseline is the best of the {eligible} that can win."
    if gain is None:
        return f"{each.winner} is the best of {eligible}; the baseline has no accuracy to compare."
    if gain <= 0:  # a tie that its lower loss won, or a baseline that failed after its best epoch
        return (
            f"{each.winner}, the best of {eligible}, is no more accurate than the baseline "
            f"({points(gain)} points)."
        )
    return (
        f"{each.winner}, the best of {eligible}, is {100 * gain:.2f} percentage points above the "
        "baseline on the validation images it was chosen by, so this gain is too large rather than "
        "too small."
    )


def _luck_section(selections: Sequence[Selection]) -> Section:
    most = max((len(each.candidates) for each in selections), default=0)
    if not most:
        return Section(title="Fairness: expected best of k trials")
    draws = [2**power for power in range(most.bit_length())]
    sentences = [
        "The exact expectation of the best validation accuracy among k of the family's trials "
        "drawn without replacement (after Dodge et al. 2019, Show Your Work), baseline included. "
        "A trial stopped early counts at its best so far, and the later trials of a search learn "
        "from the earlier ones: read it as a description of this search."
    ]
    sentences += [
        f"{each.family}: {each.without:,} of {each.without + len(each.candidates):,} trials are "
        "left out, since they diverged, failed or have not ended."
        for each in selections
        if each.without
    ]
    return Section(
        title="Fairness: expected best of k trials",
        columns=("family", "trials", *(f"k={k}" for k in draws)),
        rows=tuple(
            (
                each.family,
                count(len(each.candidates)),
                *(
                    percent(expected_best(each.candidates, k))
                    if k <= len(each.candidates)
                    else MISSING
                    for k in draws
                ),
            )
            for each in selections
        ),
        sentences=tuple(sentences),
    )


def _optimism_section(selections: Sequence[Selection]) -> Section:
    measured = [each for each in selections if each.final_test is not None]
    if not measured:
        return Section(title="Fairness: selection optimism")
    sentences = [
        "Validation minus test accuracy of each family's winner: in the search, which chose it by "
        "that accuracy, and re-trained (means over seeds, each at its best validation epoch)."
    ]
    sentences += [
        f"{each.family}: the search promised {_promise(each.search_optimism)} on test."
        for each in measured
        if each.search_optimism is not None
    ]
    return Section(
        title="Fairness: selection optimism",
        columns=(
            "family",
            "search validation",
            "re-trained validation",
            "re-trained test",
            "search optimism (points)",
            "re-trained optimism (points)",
        ),
        rows=tuple(
            (
                each.family,
                percent(each.search_validation),
                percent(each.final_validation),
                percent(each.final_test),
                points(each.search_optimism),
                points(each.final_optimism),
            )
            for each in selections
        ),
        sentences=tuple(sentences),
    )


def _promise(optimism: float) -> str:
    shown = f"{abs(100 * optimism):.2f}"
    if float(shown) == 0:
        return "what was then found"
    return f"{shown} percentage points {'more' if optimism > 0 else 'less'} than was then found"
