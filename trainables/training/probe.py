"""What a frozen network says of images, asked by the two simplest classifiers there are."""

import time
import warnings
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from search_spaces.baseline import Params
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.last_layer import head_of
from trainables.training.normalization import PLAIN_INPUT
from trainables.training.preprocessing import evaluation_batch, preparation, to_device
from trainables.weights.loading import Weights

L2: Final = 1e-2
"""Penalty on the weights of the linear classifier, as in the baseline of `frozen_features`."""
NEIGHBOURS: Final = 10
ITERATIONS: Final = 200
"""Of L-BFGS, at most."""

Indices = npt.NDArray[np.int64]


def probe(
    family: Family,
    params: Params,
    data: LabeledImages,
    *,
    train: Indices,
    validation: Indices,
    num_classes: int,
    weights: Weights,
    device: str,
) -> dict[str, float]:
    """How a family's pre-trained network does before any of it is trained.

    Args:
        family: A pre-trained one.
        params: Its hyperparameters; how large images are, and how they are normalised, counts.
        data: Training part.
        train: Indices of the images that the classifiers learn from, shape [n_train].
        validation: Indices of those that they are asked about, shape [n_validation].
        num_classes: Number of classes.
        weights: Of the network.
        device: `cpu` or `cuda`.

    Returns:
        `linear_accuracy`, of logistic regression on standardised features; `knn_accuracy`, of the
        nearest neighbours by their cosine; both in 0 to 1, on the validation images; `seconds`.
    """
    started = time.monotonic()
    given = {**PLAIN_INPUT, **params}
    size = given["input_size"] or data.images.shape[1]
    config = {**params, "num_classes": num_classes, "input_size": size, "weights": weights}
    model = family.build(config).to(device).eval()
    head = model.get_submodule(head_of(family.head, model, num_classes).rstrip("."))
    seen: list[Tensor] = []
    head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].float().cpu()))
    prepare = preparation(
        given["normalization"],
        edge=data.images.shape[1],
        size=size,
        device=torch.device(device),
    )
    both = np.concatenate([train, validation])
    step = evaluation_batch(size)
    with torch.no_grad():
        for at in range(0, len(both), step):
            images = np.ascontiguousarray(data.images[both[at : at + step]])
            model(prepare(to_device(images, torch.device(device))))
    features = torch.cat(seen).flatten(1).numpy()
    own, asked = features[: len(train)], features[len(train) :]
    labels, truth = data.labels[train], data.labels[validation]
    linear = make_pipeline(
        StandardScaler(), LogisticRegression(C=1 / (L2 * len(train)), max_iter=ITERATIONS)
    )
    nearest = KNeighborsClassifier(min(NEIGHBOURS, len(train)), metric="cosine")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # its accuracy has settled by then
        linear.fit(own, labels)
    return {
        "linear_accuracy": float(linear.score(asked, truth)),
        "knn_accuracy": float(nearest.fit(own, labels).score(asked, truth)),
        "seconds": time.monotonic() - started,
    }
