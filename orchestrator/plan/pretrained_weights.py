"""The weights of a study's pre-trained families: found, read, and tried in each network."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orchestrator.config.input_size import INPUT_SIZE
from orchestrator.config.settings import Settings
from orchestrator.plan.families import FamilyPlan
from orchestrator.results.files import check_writable
from search_spaces.dimension import ends_of
from trainables import registry
from trainables.data.offline import not_fetched
from trainables.family import Family
from trainables.last_words import of_code_in
from trainables.trainers import trainer_class
from trainables.weights import loading, pretraining
from trainables.weights.chosen import ChosenWeights
from trainables.weights.loading import WeightsFile
from trainables.weights.names import by_family
from trainables.weights.sources import DEMO, DOWNLOADS

USUAL: Final = Settings.weights


def named_for(family: str, settings: Settings) -> str:
    """What the settings name for a family; the usual ones where they name others' alone."""
    named = by_family(settings.weights)
    if named is None:
        return settings.weights
    return named.get(family, DEMO if settings.preset == DEMO else USUAL)


def find(
    settings: Settings, plans: Sequence[FamilyPlan], say: Callable[[str], None]
) -> dict[str, WeightsFile | None]:
    """The weights file of each pre-trained family of a study, hashed.

    None where it is the demo's and not made yet, or would have to be downloaded by whoever only
    plans.

    Raises:
        ValueError: A network cannot be made here, weights are named for others, or files are
            missing or have another hash: all that are.
    """
    families = [registry.load_family(plan.name) for plan in plans]
    for family in families:
        family.ask_check()
    pretrained = {family.name: family for family in families if family.pretrained}
    others = sorted((by_family(settings.weights) or {}).keys() - pretrained.keys())
    if others:
        raise ValueError(
            f"weights must be named for pre-trained families of the study, "
            f"{', '.join(pretrained) or 'of which there is none'}, but are for {', '.join(others)}"
        )
    if not pretrained and settings.weights not in {USUAL, DEMO}:
        say(f"Weights: no family of this study uses any, so {settings.weights} is not read")
    found: dict[str, WeightsFile | None] = {}
    faults: list[str] = []
    for name, family in pretrained.items():
        text = named_for(name, settings)
        try:
            found[name] = locate(text, family)
        except ValueError as error:
            address = not_fetched(error)
            if address is None:
                faults.append(str(error))
                continue
            shown = f"{text} of {name}" if family.own_weights else text
            say(f"Weights: {shown} is in no cache here; a run will download it from {address}")
            found[name] = None
    if faults:
        raise ValueError("; ".join(dict.fromkeys(faults)))
    return found


def locate(text: str, family: Family) -> WeightsFile | None:
    """The file that a text means for a family; None if it is the demo's and not made yet.

    Raises:
        ValueError: It is missing or has another hash.
    """
    if family.own_weights is not None:
        if text == USUAL:
            return family.find_own_weights()
        if text == DEMO or text in DOWNLOADS:
            own = f"choose {USUAL}, which means its own, or a" if text in DOWNLOADS else "name a"
            raise ValueError(
                f"the weights {text!r} are a ResNet50's, not {family.name}'s; {own} file: "
                f"--weights {family.name}=FILE"
            )
    if text != DEMO:
        return loading.locate(text)
    path = pretraining.cached_weights_path()
    if path.is_file():
        return loading.locate(str(path))
    check_writable(path.parent)
    return None


def check_networks(
    files: Mapping[str, WeightsFile | None],
    plans: Sequence[FamilyPlan],
    *,
    edge: int,
    num_classes: int,
) -> None:
    """Builds the network of each pre-trained family from its file, as its trials will.

    A family with a trainer of its own builds what only that knows. A network of a library, and one
    of the user's own, is given images of each size that it may be given, too.

    Raises:
        ValueError: A file is damaged, not finite, or of another network, or a network cannot be
            made, or given such images.
    """
    there = {family: file for family, file in files.items() if file is not None}
    weights = ChosenWeights(files=there).read()
    faults: list[str] = []
    for plan in plans:
        family, baseline = registry.load_family(plan.name), plan.baseline
        size, dimension = baseline.get(INPUT_SIZE), plan.space.get(INPUT_SIZE)
        ends = () if dimension is None else ends_of(dimension)
        sizes = sorted({int(pixels or edge) for pixels in (size, *ends)})
        if family.name not in weights:
            family.ask_check(sizes, num_classes, None, baseline)
        config = {**baseline, "num_classes": num_classes, INPUT_SIZE: size or edge}
        config["weights"] = weights.get(family.name)
        try:
            if family.name in weights:
                family.ask_check(sizes, num_classes, weights[family.name], baseline)
            _check_network(family, config, sizes)
        except ValueError as error:
            file = there.get(family.name)
            where = f"{file.path} does not fit {family.name}: " if file is not None else ""
            faults.append(f"{where}{error}")
    if faults:
        raise ValueError("; ".join(faults))


def _check_network(family: Family, config: Mapping[str, Any], sizes: Sequence[int]) -> None:
    """Builds a network where nothing else has; weights that are not here yet are not missed."""
    weights = config["weights"]
    if registry.is_own(family.name) and family.trainer != Family.trainer:
        trainer_class(family)
    if not family.has_network or (family.pretrained and weights is None):
        return
    if registry.is_own(family.name):
        # PyTorch takes seconds, and other networks are known to be what they must be.
        from trainables.training.network_check import check_network  # noqa: PLC0415

        own = {name: value for name, value in config.items() if name not in {"weights", INPUT_SIZE}}
        with of_code_in(registry.family_file(family.name)):
            family.parts(own)
            for size in sizes:
                check_network(family, {**config, INPUT_SIZE: size})
    elif weights is not None and family.check is None:
        family.build(config)
