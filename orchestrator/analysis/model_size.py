"""Sizes and sources: how large each network is, and what a pre-trained one starts from."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Final

import pandas as pd
import pyarrow as pa

from orchestrator.analysis.formats import number, words
from orchestrator.analysis.section import MISSING, Section, at_largest, grouped, worded
from orchestrator.results.rows import FinalRow, Model
from orchestrator.results.schema import ROLES
from orchestrator.results.study_record import StudyRecord
from search_spaces.baseline import Params
from search_spaces.spaces import ABSENT
from trainables import registry
from trainables.family import Family
from trainables.training.normalization import BY_NETWORK, NORMALIZATIONS, PLAIN_INPUT
from trainables.weights.sources import DEMO, NOT_STATED, source_of

CONVENTION = (
    "FLOPs are of one image's way forward, counted from shapes by PyTorch's flop_counter: "
    "convolutions and matrix products, a multiplication and an addition as 2."
)
SIZES: Final = {
    "parameters": number("parameters"),
    "trained parameters": number("trained_parameters"),
    "forward MFLOPs per image": number("forward_flops_per_image", ",.1f", scale=1e-6),
}


def transfer_card_sections(study: StudyRecord, final: pa.Table) -> Iterator[Section]:
    """The size of every model, and a card for each family that starts from pre-trained weights."""
    rows: list[FinalRow] = at_largest(final.to_pylist())
    models = {(family, role): own[0] for (family, role), own in grouped(rows, "family", "role")}
    columns = ["family", "role", "parameters", "trained_parameters", "forward_flops_per_image"]
    yield Section(
        key="effort/size",
        title="How large the networks are",
        table=pd.DataFrame(map(dict, models.values()), columns=columns),
        formats={"model": words("family", "role"), **SIZES},
        notes=(CONVENTION,) if models else (),
    )
    for name in study.settings.families if study.weights else ():
        try:
            family = registry.load_family(name)
        except ValueError:  # its file is not here, or broken by now, and what it found still stands
            continue
        if family.pretrained:
            yield _card(study, family, models)


def _card(study: StudyRecord, family: Family, models: Mapping[Model, FinalRow]) -> Section:
    baseline = study.baselines.get(family.name)
    chosen = (study.choice or {}).get(family.name)
    sides = []
    for role, params in zip(ROLES, (baseline, chosen.params if chosen else None), strict=True):
        # A dash where the study did not say yet.
        run = defaultdict(lambda: None, models.get((family.name, role), {}))
        sizes = {name: each.cell(run) for name, each in SIZES.items()}
        sides.append({**_network(study, family, params), **sizes})
    return worded(
        key=f"transfer/{family.name}",
        title=f"Transfer card: {family.name}",
        columns=("", *ROLES),
        rows=tuple((part, *(side[part] for side in sides)) for part in sides[0]),
        notes=tuple(_weights(study, family)),
    )


def _network(study: StudyRecord, family: Family, params: Params | None) -> dict[str, str]:
    """What a network is made of and given, with these hyperparameters; dashes without any.

    A study that was run with another version of the family has dashes too.
    """
    names = ("stem", "input size", "normalisation", "trained layers", "head")
    if params is None or not params.keys() >= family.search_space.keys() - ABSENT.keys():
        return dict.fromkeys(names, MISSING)
    config = {**params, "num_classes": len(study.dataset.classes)}
    return {
        **dict.fromkeys(names, "not stated by the family's file"),
        **family.parts(config),
        **_input(study.dataset.image_shape[0], params),
    }


def _input(own: int, params: Params) -> dict[str, str]:
    given = {**PLAIN_INPUT, **params}
    size, name = given["input_size"] or own, given["normalization"]
    plain = {
        PLAIN_INPUT["normalization"]: "[0, 1], no mean or deviation",
        BY_NETWORK: "that of the weights, by the network itself",
    }
    if name not in plain:
        mean, deviation = (", ".join(f"{x:g}" for x in values) for values in NORMALIZATIONS[name])
        plain[name] = f"{name}: mean {mean}, deviation {deviation}"
    return {
        "input size": f"{size} px" if size == own else f"{size} px, resized from {own}, bilinear",
        "normalisation": plain[name],
    }


def _weights(study: StudyRecord, family: Family) -> Iterator[str]:
    weights = study.weights_of(family.name)
    source = source_of(weights, demo=study.settings.weights == DEMO)
    yield f"Weights: {weights.name}, SHA-256 {weights.sha256}."
    yield f"They come from: {source.origin}."
    yield f"They were trained on: {source.trained_on}."
    yield f"Their licence: {source.licence}."
    if source.trained_on == NOT_STATED:
        yield (
            "Where it is not known what weights were trained on, it is not known either whether "
            "they have seen test images of this study."
        )
    yield (
        "The cost of pre-training is excluded: its images, device time and tuning are in no number "
        "of this report, so the family is compared as one that finds its weights ready made."
    )
