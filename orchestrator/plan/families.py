"""What a study will run: its families with their narrowed spaces, and the work that follows."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from optuna.distributions import BaseDistribution, distribution_to_json

from orchestrator.config.settings import Settings
from orchestrator.config.spaces import wrong_families
from orchestrator.results.study_record import StudyRecord
from search_spaces.baseline import Params
from search_spaces.dimension import distributions, outside
from search_spaces.narrowing import narrow, parse_value
from search_spaces.spaces import ABSENT, INSTEAD
from trainables import registry
from trainables.family import Family


@dataclass(frozen=True, kw_only=True)
class FamilyPlan:
    """One family as this study runs it.

    Attributes:
        space: Dimension to distribution, narrowed.
        full_space: The same, not narrowed.
        baseline: One value for each dimension.
        deviations: Dimension to (used, standard) where the baseline is not the standard one.
        pretrained: Starts from the weights that the settings name.
    """

    name: str
    space: Mapping[str, BaseDistribution]
    full_space: Mapping[str, BaseDistribution]
    baseline: Params
    deviations: Mapping[str, tuple[Any, Any]]
    pretrained: bool

    @property
    def space_json(self) -> dict[str, Any]:
        """The space as `study.json` has it: dimension to Optuna's own description."""
        return {name: json.loads(distribution_to_json(value)) for name, value in self.space.items()}

    @property
    def baseline_outside(self) -> list[str]:
        """The dimensions whose narrowed space lacks the baseline's value."""
        return outside(self.space, self.baseline)


def plan_families(settings: Settings, *, begun: StudyRecord | None = None) -> list[FamilyPlan]:
    """The families that the settings name, their spaces narrowed.

    A shared dimension that the spaces of a study that has begun lack is newer than it, and it goes
    on without.

    Raises:
        ValueError: Families or dimensions are unknown, or values lie outside theirs: all of them.
    """
    faults = [*wrong_families(settings.families, settings.space, settings.baseline)]
    if faults:
        raise ValueError("; ".join(dict.fromkeys(faults)))
    families = registry.load_families(settings.families)
    own = {family.name for family in families}
    for name in {**settings.space, **settings.baseline}:
        # What is said of a family that is left out must be right too.
        family = registry.load_family(name)
        if name not in own:
            family.ask_check()
        _plan_family(family, settings, begun)
    return [_plan_family(family, settings, begun) for family in families]


def _plan_family(family: Family, settings: Settings, begun: StudyRecord | None) -> FamilyPlan:
    named = {*settings.space.get(family.name, {}), *settings.baseline.get(family.name, {})}
    optional = {name: each for name, each in family.optional.items() if name in named}
    dimensions = {**family.search_space, **{name: each for name, (each, _) in optional.items()}}
    for name in _newer(family, begun) - named:
        del dimensions[name]
    full = distributions(dimensions)
    allowed = {name: dimension.allowed for name, dimension in dimensions.items()}
    narrowed = {
        name: narrow(where, allowed[name], text)
        for name, text, where in _texts("space", family, settings)
    }
    values = {**family.baseline, **{name: value for name, (_, value) in optional.items()}}
    baseline = {name: values[name] for name in dimensions}
    deviations = {}
    for name, text, where in _texts("baseline", family, settings):
        value = parse_value(where, allowed[name], text)
        if value != baseline[name]:
            deviations[name] = (value, baseline[name])
            baseline[name] = value
    space = {**full, **narrowed}
    if INSTEAD.keys() <= space.keys():
        _check_used("space", family, settings, {*getattr(space["optimizer"], "choices", ())})
        _check_used("baseline", family, settings, {baseline["optimizer"]})
    return FamilyPlan(
        name=family.name,
        space=space,
        full_space=full,
        baseline=baseline,
        deviations=deviations,
        pretrained=family.pretrained,
    )


def _check_used(field: str, family: Family, settings: Settings, optimizers: set[Any]) -> None:
    """Rejects what the settings say of a dimension that none of a family's optimizers uses."""
    for own, (optimizer, shared) in INSTEAD.items():
        unused, used = (shared, own) if optimizers == {optimizer} else (own, shared)
        wanted = optimizers == {optimizer} or optimizer not in optimizers
        if wanted and unused in getattr(settings, field).get(family.name, {}):
            raise ValueError(
                f"{field}.{family.name}.{unused} must be a dimension that a trial uses, but with "
                f"optimizer {', '.join(sorted(optimizers))} it is {used}"
            )


def _newer(family: Family, begun: StudyRecord | None) -> set[str]:
    """The dimensions of a family's space that came after a study was begun.

    Those that training itself knows: without them a trial trains as it did.
    """
    known = begun.spaces.get(family.name) if begun else None
    return {*family.search_space} & {*ABSENT} - {*known} if known else set()


def _texts(field: str, family: Family, settings: Settings) -> list[tuple[str, str, str]]:
    """Dimension, text and full name of what the settings say of a family's space or baseline."""
    own = getattr(settings, field).get(family.name, {})
    return [(name, text, f"{field}.{family.name}.{name}") for name, text in own.items()]
