"""Was the baseline among the trials, and was it given what the winner was given?"""

from collections.abc import Iterator, Sequence
from typing import Final

from orchestrator.audit.finding import Check, Finding, count, listed
from orchestrator.audit.foreign import STOPPED, ForeignStudy, Trial, tuned

CHECK: Final = Check("baseline")
MISSING: Final = "baseline not in the study"
CUT_SHORT: Final = "baseline cut short"
LEAST_SHARE: Final = 0.5
"""Of the best trial's epochs, below which a baseline was cut short."""


def check_baseline(study: ForeignStudy) -> Finding:
    """Whether the baseline is there, and trained as long as the best trial."""
    baselines = [trial for trial in study.trials if trial.baseline]
    if not baselines:
        return _missing(study)
    usable = [trial for trial in baselines if trial.usable]
    shown = listed([trial.name for trial in baselines])
    if not usable:
        return CHECK.unknown(
            f"The baseline ({shown}) has no result, so nothing can be compared with it."
        )
    cut = list(_cut_short(study, usable))
    if cut:
        return CHECK.sin(
            CUT_SHORT,
            "The baseline was trained for less than the trial that it is compared with.",
            *cut,
        )
    return CHECK.in_order(
        f"The baseline is among the trials: {count(len(usable), 'trial')} ({shown})."
    )


def _missing(study: ForeignStudy) -> Finding:
    if study.said.baseline is not None:
        return CHECK.sin(
            MISSING,
            "The baseline that was named is none of the trials: no gain over it can be claimed "
            "from this study.",
            f"no trial of {len(study.trials)} has {study.said.baseline}",
        )
    given = [trial.name for trial in study.trials if trial.given]
    hint = f"; trial {listed(given)} was given, not proposed, and may be it" if given else ""
    return CHECK.unknown(f"Nothing here is called a baseline{hint}. Name it by --baseline.")


def _cut_short(study: ForeignStudy, baselines: Sequence[Trial]) -> Iterator[str]:
    """A sentence for each baseline that had less than half of its group's best trial's epochs."""
    for baseline in baselines:
        best = study.best(tuned(study.of(baseline.group)) or tuned(study.usable))
        if best is None or best.epochs is None or baseline.epochs is None:
            continue
        if not study.better(study.score(best), study.score(baseline)):
            continue
        if baseline.state == STOPPED and baseline.epochs < best.epochs:
            how = "was stopped early"
        elif baseline.epochs < LEAST_SHARE * best.epochs:
            how = "ended"
        else:
            continue
        yield (
            f"baseline {baseline.name} {how} after {baseline.epochs:g} epochs, the best trial "
            f"{best.name} had {best.epochs:g}"
        )
