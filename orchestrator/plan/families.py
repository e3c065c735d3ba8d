"""What a study will run: its families with their narrowed spaces, and the work that follows."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json
from rich.console import Console
from rich.table import Table

from orchestrator.config.rungs import earliest_stop
from orchestrator.config.searches import list_searches
from orchestrator.config.settings import Settings
from search_spaces.dimension import describe, distributions, outside
from search_spaces.narrowing import narrow, parse_value
from trainables import registry
from trainables.family import Family


@dataclass(frozen=True, kw_only=True)
class FamilyPlan:
    """One family as this study runs it.

    Attributes:
        name: The family's name.
        space: Dimension to distribution, narrowed.
        full_space: The same, not narrowed.
        baseline: One value for each dimension.
        deviations: Dimension to (used, standard) where the baseline is not the standard one.
        pretrained: Starts from the weights that the settings name.
    """

    name: str
    space: Mapping[str, BaseDistribution]
    full_space: Mapping[str, BaseDistribution]
    baseline: Mapping[str, Any]
    deviations: Mapping[str, tuple[Any, Any]]
    pretrained: bool

    @property
    def space_json(self) -> dict[str, Any]:
        """The space as `study.json` has it: dimension to Optuna's own description."""
        return {
            name: json.loads(distribution_to_json(values)) for name, values in self.space.items()
        }

    @property
    def baseline_outside(self) -> list[str]:
        """The dimensions whose narrowed space lacks the baseline's value."""
        return outside(self.space, self.baseline)


def plan_families(settings: Settings) -> list[FamilyPlan]:
    """The families that the settings name, their spaces narrowed.

    Raises:
        ValueError: A family or dimension is unknown, or a value lies outside its dimension.
    """
    families = registry.load_families(settings.families)
    for name in {**settings.space, **settings.baseline}:
        # What is said of a family that is left out must be right too.
        _plan_family(registry.load_family(name), settings)
    return [_plan_family(family, settings) for family in families]


def _plan_family(family: Family, settings: Settings) -> FamilyPlan:
    full = distributions(family.search_space)
    narrowed = {
        name: narrow(where, full[name], text)
        for name, text, where in _texts("space", family, settings)
    }
    baseline = dict(family.baseline)
    deviations = {}
    for name, text, where in _texts("baseline", family, settings):
        value = parse_value(where, full[name], text)
        if value != baseline[name]:
            deviations[name] = (value, baseline[name])
            baseline[name] = value
    return FamilyPlan(
        name=family.name,
        space={**full, **narrowed},
        full_space=full,
        baseline=baseline,
        deviations=deviations,
        pretrained=family.pretrained,
    )


def _texts(field: str, family: Family, settings: Settings) -> list[tuple[str, str, str]]:
    """Dimension, text and full name of what the settings say of a family's space or baseline."""
    texts = getattr(settings, field).get(family.name, {})
    for name in texts:
        if name not in family.search_space:
            message = (
                f"unknown dimension {field}.{family.name}.{name}; choose from "
                f"{', '.join(family.search_space)}"
            )
            raise ValueError(message)
    return [(name, text, f"{field}.{family.name}.{name}") for name, text in texts.items()]


@dataclass(frozen=True, kw_only=True)
class Work:
    """How much a study trains at most, in epochs and images.

    Attributes:
        searches: One per family, or per family and fraction.
        search_trials: Their trials.
        search_epochs: Their epochs if no trial is stopped.
        least_search_epochs: The same if ASHA stops all it may at the first rung, or a budget
            leaves the baselines alone.
        smaller_search_epochs: Of `search_epochs`, those at smaller fractions than the largest, each
            counted at its share of the images of one at the largest.
        final_runs: Re-trainings.
        final_epochs: Their epochs.
    """

    searches: int
    search_trials: int
    search_epochs: int
    least_search_epochs: int
    smaller_search_epochs: float
    final_runs: int
    final_epochs: int


def forecast(plans: Sequence[FamilyPlan], settings: Settings) -> Work:
    """The work of a study before any of it is measured."""
    searches = list_searches(
        [plan.name for plan in plans],
        settings.train_fractions,
        per_fraction=settings.tune_per_fraction,
    )
    others = 0 if settings.has_budget else settings.trials - 1
    largest = max(settings.train_fractions)
    smaller = sum(each.train_fraction / largest for each in searches) - len(plans)
    final_runs = len(plans) * 2 * settings.seeds * len(settings.train_fractions)
    return Work(
        searches=len(searches),
        search_trials=len(searches) * settings.trials,
        search_epochs=len(searches) * settings.trials * settings.epochs,
        least_search_epochs=len(searches) * (settings.epochs + others * earliest_stop(settings)),
        smaller_search_epochs=smaller * settings.trials * settings.epochs,
        final_runs=final_runs,
        final_epochs=final_runs * settings.epochs,
    )


def print_plan(
    console: Console, plans: Sequence[FamilyPlan], settings: Settings, *, train_images: int
) -> None:
    """Prints the families, what is unusual about their baselines, and the forecast.

    Args:
        console: Where to.
        plans: The families.
        settings: The study's.
        train_images: Images the search trains on, after validation is taken out.
    """
    for plan in plans:
        console.print(f"{plan.name}: {registry.summary(plan.name)}")
        for name, (used, standard) in plan.deviations.items():
            console.print(f"  The baseline deviates: {name} is {used}, the standard is {standard}.")
        if plan.baseline_outside:
            console.print(
                f"  The baseline lies outside the narrowed space in "
                f"{', '.join(plan.baseline_outside)}: it runs, but Optuna is not told of it."
            )
    work = forecast(plans, settings)
    if settings.tune_per_fraction:
        console.print(
            f"Tuned per fraction: {work.searches} searches in place of {len(plans)}. Those at "
            f"smaller fractions cost up to as much as {work.smaller_search_epochs:,.0f} epochs at "
            "the largest, beside their own baselines' and winners' finals, which run anyway."
        )
    for sentence in _budgets(settings, len(plans)):
        console.print(sentence)
    console.print(
        f"Search: {work.search_trials} trials, {work.least_search_epochs} to {work.search_epochs} "
        f"epochs of {train_images} images. Finals: up to {work.final_runs} runs, "
        f"{work.final_epochs} epochs."
    )


def _budgets(settings: Settings, families: int) -> Iterator[str]:
    """What may be spent at most, a sentence each."""
    hours = settings.budget_gpu_hours
    if hours is not None:
        yield (
            f"Budget: {hours:g} device-hours, {hours / families:.3g} for each family, finals "
            "included. A search ends earlier than below where its next trial would not leave "
            "enough for its finals."
        )
    if settings.time_budget is not None:
        yield (
            f"Time budget: {settings.time_budget:g} hours of wall time, finals included. The "
            "search ends earlier than below where another trial would not leave enough for them."
        )


def print_spaces(console: Console, plans: Sequence[FamilyPlan]) -> None:
    """Prints each family's dimensions, what they may be here, and the baseline's values."""
    for plan in plans:
        dimensions = registry.load_family(plan.name).search_space
        table = Table(title=plan.name, title_justify="left")
        table.add_column("dimension", no_wrap=True)
        for column in ("space", "baseline", "meaning"):
            table.add_column(column)
        for name, distribution in plan.space.items():
            meaning = dimensions[name].meaning
            table.add_row(name, describe(distribution), str(plan.baseline[name]), meaning)
        console.print(table)
