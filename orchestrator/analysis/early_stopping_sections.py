"""Early stopping shown: its rungs, a warning where early ranks did not hold, and its savings."""

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from orchestrator.analysis.early_stopping import (
    RankCorrelation,
    Rung,
    Saving,
    correlate_ranks,
    estimate_savings,
    summarize_rungs,
)
from orchestrator.analysis.section import MISSING, Row, Section, count, percent

ENOUGH_TRIALS = 5
"""With fewer trials a rank correlation says too little."""
LOW_CORRELATION = 0.5
SECONDS_PER_HOUR = 3600


def early_stopping_sections(
    study: Row, trials: pa.Table, epochs: pa.Table, rungs: pa.Table
) -> tuple[Section, ...]:
    """The sections on early stopping, for `comparison.md` and the terminal.

    Args:
        study: `study.json`, with `epochs` and `families` in its `settings`.
        trials: `trials.parquet`.
        epochs: `epochs.parquet`.
        rungs: `rungs.parquet`.
    """
    last_epoch = study["settings"]["epochs"]
    summaries = summarize_rungs(rungs)
    return (
        _rung_section(study, summaries),
        _rank_section(correlate_ranks(rungs, epochs, last_epoch=last_epoch)),
        Section(
            title="Early stopping: what it saved",
            sentences=tuple(
                _saving_sentence(saving, last_epoch)
                for saving in estimate_savings(trials, last_epoch=last_epoch)
            ),
        ),
    )


def _rung_section(study: Row, rungs: Sequence[Rung]) -> Section:
    seen = {rung.family for rung in rungs}
    sentences = [
        f"{family}: no trial arrived at a rung, so none could be stopped early."
        for family in study["settings"]["families"]
        if family not in seen
    ]
    sentences += [
        f"{rung.family}: the baseline was below the cut-off at epoch {rung.epoch} and went on, as "
        "baselines always do."
        for rung in rungs
        if rung.protected
    ]
    return Section(
        title="Early stopping: the rungs",
        columns=("family", "epoch", "arrivals", "median accuracy", "last cut-off", "survivors"),
        rows=tuple(
            (
                rung.family,
                str(rung.epoch),
                count(rung.arrivals),
                percent(rung.median),
                percent(rung.last_cutoff),
                count(rung.arrivals - rung.stopped),
            )
            for rung in rungs
        ),
        sentences=tuple(sentences),
    )


def _rank_section(correlations: Sequence[RankCorrelation]) -> Section:
    rows = tuple(
        (
            each.family,
            str(each.earlier),
            str(each.later),
            count(each.trials),
            MISSING if each.rho is None else f"{each.rho:z.2f}",
        )
        for each in correlations
    )
    return Section(
        title="Early stopping: do early ranks hold?",
        columns=("family", "from epoch", "to epoch", "trials at both", "Spearman's rho"),
        rows=rows,
        sentences=tuple(_rank_sentences(correlations)),
    )


def _rank_sentences(correlations: Sequence[RankCorrelation]) -> Iterator[str]:
    few: dict[str, list[str]] = {}
    for each in correlations:
        if each.trials < ENOUGH_TRIALS:
            few.setdefault(each.family, []).append(f"{each.earlier} to {each.later}")
        elif each.rho is not None and each.rho < LOW_CORRELATION:
            yield (
                f"Warning: {each.family}: the order of the trials at epoch {each.earlier} says "
                f"little about their order at epoch {each.later} (rho {each.rho:z.2f} over "
                f"{each.trials} trials, below {LOW_CORRELATION}): early stopping may have ended "
                "trials that would have won; a longer grace period would show."
            )
    yield from _too_few(few)
    if correlations:
        yield (
            "Rho is Spearman's rank correlation of validation accuracy over the trials that "
            "reached both epochs; those stopped before the later one are not in it."
        )


def _too_few(few: Mapping[str, Sequence[str]]) -> Iterator[str]:
    for family, spans in few.items():
        yield (
            f"{family}: fewer than {ENOUGH_TRIALS} trials reached both ends of epochs "
            f"{', '.join(spans)}: that says too little."
        )


def _saving_sentence(saving: Saving, last_epoch: int) -> str:
    if not saving.stopped:
        return f"{saving.family}: no trial was stopped early, so nothing was saved."
    whole = saving.epochs_run + saving.epochs_saved
    sentence = (
        f"{saving.family}: {saving.stopped:,} of {saving.trials:,} trials were stopped early, "
        f"which saved {saving.epochs_saved:,} of {whole:,} epochs "
        f"({percent(saving.epochs_saved / whole, 0)}) against running them to epoch {last_epoch}"
    )
    if saving.device_seconds_saved is None or saving.seconds_per_epoch is None:
        return f"{sentence}."
    return (
        f"{sentence}, an estimated {_hours(saving.device_seconds_saved)} at the family's "
        f"{saving.seconds_per_epoch:.3g} device-seconds per epoch."
    )


def _hours(device_seconds: float) -> str:
    hours = device_seconds / SECONDS_PER_HOUR
    shown = f"{hours:.2g}" if hours < 1 else f"{hours:,.1f}"
    return f"{shown} device-hours"
