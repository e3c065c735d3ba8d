"""Was the baseline among the trials, and was it given what the winner was given?"""

from collections.abc import Iterator
from typing import Final

from orchestrator.audit.finding import IN_ORDER, SIN, UNKNOWN, Finding, count, listed
from orchestrator.audit.foreign import STOPPED, ForeignStudy, Trial

CHECK: Final = "baseline"
MISSING: Final = "baseline not in the study"
CUT_SHORT: Final = "baseline cut short"
LEAST_SHARE: Final = 0.5
"""Of the best trial's epochs, below which a baseline was cut short."""


def check_baseline(study: ForeignStudy) -> Iterator[Finding]:
    """Whether the baseline is there, and trained as long as the best trial."""
    own = [trial for trial in study.trials if trial.baseline]
    if not own:
        yield _missing(study)
        return
    usable = [trial for trial in own if trial.usable]
    shown = listed([trial.name for trial in own])
    if not usable:
        yield Finding(
            check=CHECK,
            verdict=UNKNOWN,
            sentence=f"The baseline ({shown}) has no result, so nothing can be compared with it.",
        )
        return
    cut = list(_cut_short(study, usable))
    if cut:
        yield Finding(
            check=CHECK,
            verdict=SIN,
            name=CUT_SHORT,
            sentence="The baseline was trained for less than the trial that it is compared with.",
            evidence=cut,
        )
        return
    yield Finding(
        check=CHECK,
        verdict=IN_ORDER,
        sentence=f"The baseline is among the trials: {count(len(usable), 'trial')} ({shown}).",
    )


def _missing(study: ForeignStudy) -> Finding:
    if study.baseline_named is not None:
        return Finding(
            check=CHECK,
            verdict=SIN,
            name=MISSING,
            sentence="The baseline that was named is none of the trials: no gain over it can be "
            "claimed from this study.",
            evidence=(f"no trial of {len(study.trials)} has {study.baseline_named}",),
        )
    given = [trial.name for trial in study.trials if trial.given]
    hint = f"; trial {listed(given)} was given, not proposed, and may be it" if given else ""
    return Finding(
        check=CHECK,
        verdict=UNKNOWN,
        sentence=f"Nothing here is called a baseline{hint}. Name it by --baseline.",
    )


def _cut_short(study: ForeignStudy, baselines: list[Trial]) -> Iterator[str]:
    """A sentence for each baseline that had less than half of its group's best trial's epochs."""
    for baseline in baselines:
        group = [t for t in study.of(baseline.group) if not t.baseline] or [
            t for t in study.usable if not t.baseline
        ]
        best = study.best(group)
        if best is None or best.epochs is None or baseline.epochs is None:
            continue
        mine, its = study.score(baseline), study.score(best)
        if mine is None or its is None or not study.better(its, mine):
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
