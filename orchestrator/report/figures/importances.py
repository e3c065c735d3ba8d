"""Which hyperparameters mattered, by Optuna's fANOVA and PED-ANOVA, with the number of trials."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import optuna
import pandas as pd
from optuna.distributions import BaseDistribution
from optuna.importance import (
    BaseImportanceEvaluator,
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.trial import create_trial

from orchestrator.analysis.formats import number
from orchestrator.analysis.formats import words as text
from orchestrator.analysis.section import Section
from orchestrator.extras import is_installed
from orchestrator.report.chart import Axis, Chart, Panel, Points
from orchestrator.report.figures.hyperparameters import SearchResults, search_results
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import search_looks
from orchestrator.results.states import State
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
        name: Of the search.
        trials: Completed or stopped ones, on which it rests.
        stopped: Those of them that were stopped early; they count with their best until then.
        shares: Evaluator to dimension to its share of importance; all sum to 1.
    """

    name: str
    trials: int
    stopped: int
    shares: Mapping[str, Mapping[str, float]]

    @property
    def leading(self) -> tuple[str, str, float]:
        """The evaluator shown first, the dimension it ranks first, and its share."""
        method = next(iter(self.shares))
        name = max(self.shares[method], key=lambda each: self.shares[method][each])
        return method, name, self.shares[method][name]


def measure(inputs: Inputs) -> list[Importances]:
    """Of each search with enough trials to compute any."""
    found = (_measure(each) for each in search_results(inputs))
    return [each for each in found if each is not None]


def _measure(each: SearchResults) -> Importances | None:
    inside = [
        (row, params)
        for row, params in zip(each.trials, each.params, strict=True)
        if not outside(each.space, params)
    ]
    values = {objective(row) for row, _ in inside}
    if len(inside) < FEWEST_TRIALS or len(values) == 1:
        return None
    study = _study(each.space, [(objective(row), params) for row, params in inside])
    evaluators: dict[str, BaseImportanceEvaluator] = {PED_ANOVA: PedAnovaImportanceEvaluator()}
    if len(inside) <= MOST_FOR_FANOVA and is_installed(NEEDED_BY_FANOVA):
        fanova = FanovaImportanceEvaluator(n_trees=TREES, seed=0)
        evaluators = {FANOVA: fanova, **evaluators}
    shares = {name: _shares(study, evaluator) for name, evaluator in evaluators.items()}
    known = {name: share for name, share in shares.items() if share}
    if not known:
        return None
    return Importances(
        name=each.name,
        trials=len(inside),
        stopped=sum(row["status"] == State.STOPPED for row, _ in inside),
        shares=known,
    )


def _study(
    space: Mapping[str, BaseDistribution], trials: Sequence[tuple[float, Mapping[str, object]]]
) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
        study.add_trials(
            [
                create_trial(params=dict(params), distributions=dict(space), value=value)
                for value, params in trials
            ]
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
    return study


def _shares(study: optuna.Study, evaluator: BaseImportanceEvaluator) -> dict[str, float]:
    """The largest first; none where the evaluator cannot tell, as where all trials are alike."""
    spaces = (trial.distributions.items() for trial in study.trials)
    # What has one value explains nothing.
    names = sorted({name for space in spaces for name, values in space if not values.single()})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of evaluators that are marked as experimental
        try:
            found = get_param_importances(study, evaluator=evaluator, params=names)
        except (RuntimeError, ValueError):
            return {}
    # By name among equals, whose order differs from process to process.
    ranked = sorted(found.items(), key=lambda each: (-each[1], each[0]))
    return {name: float(share) for name, share in ranked}


def figure(inputs: Inputs) -> Chart | None:
    """A panel a search; None where no search has enough trials."""
    found = measure(inputs)
    if not found:
        return None
    looks = search_looks(inputs.study.searches)
    return Chart(
        key="importances",
        title="Which hyperparameters mattered",
        finding=f"{'; '.join(map(_finding, found))}.",
        alt=f"{'; '.join(map(_words, found))}.",
        panels=[_panel(each, looks[each.name][0]) for each in found],
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
                "search": text("search"),
                "hyperparameter": text("hyperparameter"),
                **{method: number(method, ".2f") for method in (FANOVA, PED_ANOVA)},
            },
        ),
        notes=tuple(_notes(found)),
    )


def _panel(each: Importances, colour: str) -> Panel:
    method = each.leading[0]
    names = sorted(each.shares[method], key=lambda name: -each.shares[method][name])
    places = {name: -i for i, name in enumerate(names)}
    marks = []
    for evaluator, shares in each.shares.items():
        marks.append(
            Points(
                x=[shares.get(name) for name in names],
                y=[places[name] for name in names],
                colour=colour,
                symbol="circle" if evaluator == FANOVA else "diamond-open",
                label=evaluator,
                hover=[f"{name}: {evaluator} {shares.get(name, 0):.2f}" for name in names],
            )
        )
    return Panel(
        title=f"{each.name}, n = {each.trials}",
        marks=marks,
        x=Axis(title="share of importance", limits=(-0.03, 1.03)),
        y=Axis(
            ticks={place: name for name, place in places.items()},
            limits=(0.6 - len(names), 0.6),
        ),
        height=90 + ROW_PIXELS * len(names),
    )


def _finding(each: Importances) -> str:
    method, name, share = each.leading
    few = f", too few to trust: fewer than {ENOUGH_TRIALS}" if each.trials < ENOUGH_TRIALS else ""
    return f"{each.name}: {name} matters most ({method} {share:.2f}, n = {each.trials}{few})"


def _notes(found: Sequence[Importances]) -> Iterator[str]:
    stopped = [f"{each.name} {each.stopped} of {each.trials}" for each in found if each.stopped]
    if stopped:
        yield (
            "Trials stopped early are among them and count with their best accuracy until then: "
            f"{', '.join(stopped)}."
        )
    if not is_installed(NEEDED_BY_FANOVA):
        yield "fANOVA is left out: scikit-learn is not installed where this page was made."
    elif any(FANOVA not in each.shares for each in found):
        yield f"fANOVA is left out above {MOST_FOR_FANOVA} trials, where it takes long."


def _words(each: Importances) -> str:
    parts = [
        f"{evaluator} " + ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
        for evaluator, shares in each.shares.items()
    ]
    return f"{each.name} over {each.trials} trials: {'; '.join(parts)}"
