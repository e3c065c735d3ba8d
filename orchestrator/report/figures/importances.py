"""Which hyperparameters mattered, by Optuna's fANOVA and PED-ANOVA, with the number of trials."""

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import optuna
import pandas as pd
from optuna.trial import create_trial

from orchestrator.analysis.formats import number, words
from orchestrator.analysis.section import Section
from orchestrator.analysis.test_results import in_words
from orchestrator.extras import is_installed
from orchestrator.report.chart import Axis, Chart, Panel, Points
from orchestrator.report.figures.hyperparameters import SearchResults, search_results
from orchestrator.report.inputs import Inputs
from orchestrator.results.states import State
from orchestrator.terminal import log_level
from search_spaces.dimension import outside
from trainables.epoch_rows import objective

ENOUGH_TRIALS: Final = 30
FEWEST_TRIALS: Final = 4
MOST_FOR_FANOVA: Final = 64
TREES: Final = 16
"""Of fANOVA's forest: Optuna's 64 take four times as long for nearly the same importances."""
ROW_PIXELS: Final = 30
FANOVA, PED_ANOVA = "fANOVA", "PED-ANOVA"
NEEDED_BY_FANOVA: Final = "sklearn"


@dataclass(frozen=True, kw_only=True)
class Importances:
    """What mattered in one search.

    Attributes:
        trials: Completed or stopped ones, on which it rests.
        stopped: Those of them that were stopped early; they count with their best until then.
        shares: Evaluator to dimension to its share of importance, the largest first; all sum to 1.
    """

    name: str
    trials: int
    stopped: int
    shares: Mapping[str, Mapping[str, float]]

    @property
    def leading(self) -> tuple[str, str, float]:
        """The evaluator shown first, the dimension it ranks first, and its share."""
        method, shares = next(iter(self.shares.items()))
        name, share = next(iter(shares.items()))
        return method, name, share


def measure(each: SearchResults) -> Importances | None:
    """What mattered in a search; None where too few of its trials tell."""
    inside = [
        (row, params)
        for row, params in zip(each.trials, each.params, strict=True)
        if not outside(each.space, params)
    ]
    values = {objective(row) for row, _ in inside}
    if len(inside) < FEWEST_TRIALS or len(values) == 1:
        return None
    trials = [
        create_trial(params=dict(params), distributions=dict(each.space), value=objective(row))
        for row, params in inside
    ]
    with log_level("optuna", logging.WARNING):
        study = optuna.create_study(direction="maximize")
        study.add_trials(trials)
    fanova = len(inside) <= MOST_FOR_FANOVA and is_installed(NEEDED_BY_FANOVA)
    methods = [FANOVA, PED_ANOVA] if fanova else [PED_ANOVA]
    # What has one value explains nothing.
    names = sorted(name for name, values in each.space.items() if not values.single())
    known = {method: own for method in methods if (own := _shares(study, method, names))}
    if not known:
        return None
    return Importances(
        name=each.name,
        trials=len(inside),
        stopped=sum(row["status"] == State.STOPPED for row, _ in inside),
        shares=known,
    )


def _shares(study: optuna.Study, method: str, names: list[str]) -> dict[str, float]:
    """The largest first; none where the method cannot tell, as where all trials are alike."""
    with warnings.catch_warnings(action="ignore"):  # of what is marked as experimental
        evaluator = (
            optuna.importance.FanovaImportanceEvaluator(n_trees=TREES, seed=0)
            if method == FANOVA
            else optuna.importance.PedAnovaImportanceEvaluator()
        )
        try:
            raw = optuna.importance.get_param_importances(study, evaluator=evaluator, params=names)
        except (RuntimeError, ValueError):
            return {}
    # By name among equals, whose order differs from process to process.
    ranked = sorted(raw.items(), key=lambda each: (-each[1], each[0]))
    return {name: float(share) for name, share in ranked}


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None where no search has enough trials."""
    found = [own for own in map(measure, search_results(inputs)) if own is not None]
    if not found:
        return None
    return Chart(
        key="importances",
        title="Which hyperparameters mattered",
        finding=f"{'; '.join(map(_finding, found))}.",
        panels=[_panel(each, inputs.looks[each.name]["colour"]) for each in found],
        numbers=Section(
            key="figures/importances",
            title="Importances, as shares that sum to 1",
            table=pd.DataFrame(
                {"search": each.name, "hyperparameter": name}
                | {method: each.shares.get(method, {}).get(name) for method in (FANOVA, PED_ANOVA)}
                for each in found
                for name in each.shares[each.leading[0]]
            ),
            formats={
                "search": words("search"),
                "hyperparameter": words("hyperparameter"),
                **{method: number(method, ".2f") for method in (FANOVA, PED_ANOVA)},
            },
        ),
        notes=tuple(_notes(found, in_words(inputs.study.settings.objective))),
    )


def _panel(each: Importances, colour: str) -> Panel:
    names = list(each.shares[each.leading[0]])
    marks = [
        Points(
            x=[shares.get(name) for name in names],
            y=[-place for place in range(len(names))],
            colour=colour,
            symbol="circle" if evaluator == FANOVA else "diamond",
            hollow=evaluator != FANOVA,
            label=evaluator,
            hover=[f"{name}: {evaluator} {shares.get(name, 0):.2f}" for name in names],
        )
        for evaluator, shares in each.shares.items()
    ]
    return Panel(
        title=f"{each.name}, n = {each.trials}",
        marks=marks,
        x=Axis(title="share of importance", limits=(-0.03, 1.03)),
        y=Axis.of_rows(names),
        height=90 + ROW_PIXELS * len(names),
    )


def _finding(each: Importances) -> str:
    method, name, share = each.leading
    few = f", too few to trust: fewer than {ENOUGH_TRIALS}" if each.trials < ENOUGH_TRIALS else ""
    return f"{each.name}: {name} matters most ({method} {share:.2f}, n = {each.trials}{few})"


def _notes(found: Sequence[Importances], measure: str) -> Iterator[str]:
    stopped = [f"{each.name} {each.stopped} of {each.trials}" for each in found if each.stopped]
    if stopped:
        yield (
            f"Trials stopped early are among them and count with their best {measure} until then: "
            f"{', '.join(stopped)}."
        )
    if not is_installed(NEEDED_BY_FANOVA):
        yield "fANOVA is left out: scikit-learn is not installed where this page was made."
    elif any(FANOVA not in each.shares for each in found):
        yield f"fANOVA is left out above {MOST_FOR_FANOVA} trials, where it takes long."
