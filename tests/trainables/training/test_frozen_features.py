"""A linear head on a frozen network's features: what it minimises, and that these are kept."""

from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss
from torchvision.models import resnet50

from trainables.data.dataset import LabeledImages
from trainables.registry import load_families, load_family
from trainables.training import feature_cache, preprocessing
from trainables.training.frozen_features import FrozenFeaturesTrainer

TRAIN, VALIDATION = np.arange(40), np.arange(40, 60)


@pytest.fixture(scope="module")
def weights() -> dict[str, np.ndarray]:
    torch.manual_seed(0)
    return {name: tensor.numpy() for name, tensor in resnet50().state_dict().items()}


@pytest.fixture(autouse=True)
def no_features() -> None:
    feature_cache._KEPT.clear()


def trainer(
    data: LabeledImages, weights: Any, image_memory: int | None = None, **params: Any
) -> FrozenFeaturesTrainer:
    family = load_family("frozen_features")
    return FrozenFeaturesTrainer(
        family,
        {**family.baseline, "input_size": 32, **params},
        data,
        train=TRAIN,
        validation=VALIDATION,
        num_classes=3,
        weights=weights,
        seed=0,
        epochs=30,
        device="cpu",
        threads=1,
        image_memory=image_memory,
    )


def test_it_comes_to_the_minimum_that_scikit_learn_finds(
    made_up_images: LabeledImages, weights: dict[str, np.ndarray]
) -> None:
    one = trainer(made_up_images, weights, l2=1.0)
    rows = [one.train_epoch() for _ in range(30)]
    (kept,) = feature_cache._KEPT.values()
    features = kept.values[TRAIN].numpy().astype(np.float64)
    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    labels = made_up_images.labels[TRAIN]
    # Its penalty is that of the sum over images times C.
    model = LogisticRegression(C=1 / len(TRAIN), tol=1e-10, max_iter=10_000)
    model.fit(features, labels)
    known = -np.log(model.predict_proba(features)[np.arange(len(labels)), labels]).mean()
    assert rows[-1]["train_loss"] == pytest.approx(known, rel=1e-3)
    losses = [row["train_loss"] for row in rows]
    assert losses[0] > losses[-1]


def test_ridge_regression_is_what_scikit_learn_finds_in_one_epoch(
    made_up_images: LabeledImages, weights: dict[str, np.ndarray]
) -> None:
    # Some labels are wrong, so that no image without its own label is certain.
    labels = np.where(np.arange(len(made_up_images)) % 4, made_up_images.labels, 0)
    made_up_images = LabeledImages(images=made_up_images.images, labels=labels)
    one = trainer(made_up_images, weights, classifier="ridge", l2=0.5)
    first, state = one.train_epoch(), one.state()
    assert {**one.train_epoch(), "epoch": 1}["train_loss"] == first["train_loss"]
    (kept,) = feature_cache._KEPT.values()
    features = kept.values[TRAIN].numpy().astype(np.float64)
    features = (features - features.mean(0)) / np.maximum(features.std(0), 1e-6)
    wanted = np.eye(3)[made_up_images.labels[TRAIN]]
    known = Ridge(alpha=0.5 * len(TRAIN)).fit(features, wanted)
    found = one._coefficients[:, :-1]
    scale = np.linalg.norm(found) / np.linalg.norm(known.coef_)
    np.testing.assert_allclose(found, scale * known.coef_, rtol=1e-3, atol=1e-5 * scale)
    labels, others = made_up_images.labels[TRAIN], ~np.eye(len(TRAIN), dtype=bool)
    without = [
        Ridge(alpha=0.5 * len(TRAIN)).fit(features[kept], wanted[kept]).predict(features[~kept])[0]
        for kept in others
    ]
    losses = [
        log_loss(labels, softmax(factor * np.array(without), axis=1))
        for factor in (scale / 1.1, scale, scale * 1.1)
    ]
    assert losses[1] < min(losses[0], losses[2])
    resumed = trainer(made_up_images, weights, classifier="ridge", l2=0.5)
    resumed.load_state(state)
    assert resumed.train_epoch()["validation_loss"] == pytest.approx(first["validation_loss"])


def test_the_network_says_what_the_head_says_of_standardised_features(
    made_up_images: LabeledImages, weights: dict[str, np.ndarray]
) -> None:
    one = trainer(made_up_images, weights)
    row = one.train_epoch()
    network = load_family("frozen_features").build({"num_classes": 3, "weights": None})
    network.load_state_dict(safetensors.torch.load(one.weights()))
    validation = LabeledImages(
        images=made_up_images.images[VALIDATION], labels=made_up_images.labels[VALIDATION]
    )
    found = one.evaluate(validation)
    assert found.scores.accuracy == row["validation_accuracy"]
    assert found.loss == pytest.approx(row["validation_loss"], rel=1e-4)
    with torch.no_grad():
        logits = network.eval()(one._prepare(torch.from_numpy(validation.images)))
    np.testing.assert_allclose(logits.softmax(1).numpy(), found.probabilities, atol=1e-5)


def test_the_body_is_asked_once_for_each_image_by_all_trials_of_a_process(
    made_up_images: LabeledImages,
    weights: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    real = FrozenFeaturesTrainer._body_of
    monkeypatch.setattr(
        FrozenFeaturesTrainer,
        "_body_of",
        lambda self, images: asked.append(len(images)) or real(self, images),
    )
    for l2 in (1e-3, 1e-1):
        one = trainer(made_up_images, weights, l2=l2)
        one.train_epoch()
        one.evaluate(made_up_images)
        one.train_epoch()
    assert sum(asked) == len(made_up_images)
    trainer(made_up_images, weights, normalization="zero_one").train_epoch()
    assert sum(asked) == 2 * len(made_up_images)


def test_images_that_do_not_fit_the_device_are_fed_with_the_same_numbers(
    made_up_images: LabeledImages,
    weights: dict[str, np.ndarray],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(preprocessing, "EVALUATION_BATCH", 8)
    whole = trainer(made_up_images, weights)
    rows, found = [whole.train_epoch() for _ in range(2)], whole.evaluate(made_up_images)
    feature_cache._KEPT.clear()
    parts = trainer(made_up_images, weights, image_memory=12 * made_up_images.images[0].nbytes)
    times = {"epoch_seconds": 0, "images_per_second": 0}
    fed = [parts.train_epoch() for _ in range(2)]
    assert fed[0].pop("images_fed").endswith("and are fed in parts of 0.00614 MB")
    assert [{**row, **times} for row in fed] == [{**row, **times} for row in rows]
    assert np.array_equal(parts.evaluate(made_up_images).probabilities, found.probabilities)


def test_features_of_few_sizes_are_kept_at_a_time() -> None:
    kept = [
        feature_cache.kept(n, images=2, features=3, device=torch.device("cpu"), holds=None)
        for n in range(feature_cache.MOST + 1)
    ]
    given = {"images": 2, "features": 3, "device": torch.device("cpu"), "holds": None}
    assert feature_cache.kept(feature_cache.MOST, **given) is kept[-1]
    assert feature_cache.kept(0, **given) is not kept[0]


def test_all_families_are_those_of_the_question_and_this_one_is_named() -> None:
    names = [family.name for family in load_families("all")]
    assert names == ["cnn", "resnet50_scratch", "resnet50_transfer"]
    assert load_families("frozen_features")[0].pretrained
