"""What the pre-trained networks of a study know before the search, asked in seconds."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from orchestrator.plan.families import FamilyPlan
from orchestrator.plan.inputs import Inputs
from trainables import registry

MOST_TRAIN: Final = 1_000
MOST_VALIDATION: Final = 500
"""Images; those of the whole part, in equal steps."""


def probe_families(
    inputs: Inputs, plans: Sequence[FamilyPlan], say: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Asks the network of each pre-trained family, as its baseline is given images.

    Here, in this process: on a GPU of this machine where there is one.

    Returns:
        For each: `family`, what `trainables.training.probe.probe` returns, `train_images`,
        `validation_images`.

    Raises:
        ValueError: The weights are not here yet.
    """
    pretrained = [plan for plan in plans if plan.pretrained]
    if not pretrained:
        say("Probe: no family starts from weights, so there is nothing to ask.")
        return []
    if inputs.weights is None:
        missing = ", ".join(name for name, file in inputs.weights_files.items() if file is None)
        raise ValueError(f"a probe needs the weights of {missing}, which are not here yet")
    import torch  # noqa: PLC0415 (takes seconds, and most studies do not ask)

    from trainables.training.probe import probe  # noqa: PLC0415

    weights, device = inputs.weights.read(), "cuda" if torch.cuda.is_available() else "cpu"
    train = _some(inputs.train[max(inputs.train)], MOST_TRAIN)
    validation = _some(inputs.split.validation, MOST_VALIDATION)
    found = []
    for plan in pretrained:
        measured = probe(
            registry.load_family(plan.name),
            plan.baseline,
            inputs.training,
            train=train,
            validation=validation,
            num_classes=len(inputs.dataset.classes),
            weights=weights[plan.name],
            device=device,
        )
        say(
            f"Probe: frozen, {plan.name} is right on {measured['linear_accuracy']:.1%} of "
            f"{len(validation):,} validation images by a linear layer on its features, on "
            f"{measured['knn_accuracy']:.1%} by the nearest of {len(train):,} training images "
            f"({measured['seconds']:.0f} s)."
        )
        counts = {"train_images": len(train), "validation_images": len(validation)}
        found.append({"family": plan.name, **measured, **counts})
    return found


def _some(indices: npt.NDArray[np.int64], most: int) -> npt.NDArray[np.int64]:
    count = len(indices)
    return indices[np.linspace(0, count - 1, min(count, most)).astype(np.int64)]
