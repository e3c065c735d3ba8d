"""What every family in the folder must do; a new file is tested by lying there.

A library's models are tested by name: small ones always, and those in STUDY_TEST_FAMILIES.
"""

import functools
import importlib
import itertools
import os
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from orchestrator.export.network import network_of
from orchestrator.results.schema import schemas
from search_spaces.dimension import distributions, outside
from search_spaces.spaces import ABSENT, from_scratch
from trainables import registry
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.model_size import forward_flops, parameter_counts
from trainables.training.normalization import PLAIN_INPUT
from trainables.training.trainer import Trainer

OWN = registry.family_names()
LIBRARIES = (
    "torchvision/mobilenet_v3_small",
    "torchvision/squeezenet1_1@scratch",
    "torchvision/shufflenet_v2_x0_5@frozen",
    "timm/test_vit",
    "timm/test_convnext",
    "timm/test_efficientnet@frozen",
    "timm/test_resnet@scratch",
)
ASKED = filter(None, os.environ.get("STUDY_TEST_FAMILIES", "").split(","))
NAMES = [*OWN, *LIBRARIES, *ASKED]
EPOCHS = 2


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def resnet_weights() -> dict[str, np.ndarray]:
    return made_up_resnet_weights()


@functools.cache
def made_up_resnet_weights() -> dict[str, np.ndarray]:
    """Made-up weights with torchvision's names, whose head does not match."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    state = resnet50(num_classes=7).state_dict()
    return {name: tensor.numpy() for name, tensor in state.items()}


@pytest.fixture
def data() -> LabeledImages:
    return made_up_data()


def made_up_data() -> LabeledImages:
    """24 images of 3 classes that differ in colour: uint8 [24, 32, 32, 3]."""
    random = np.random.default_rng(0)
    labels = np.arange(24, dtype=np.int64) % 3
    images = random.integers(0, 80, (24, 32, 32, 3), dtype=np.uint8)
    images[np.arange(24), :, :, labels] += 120
    return LabeledImages(images=images, labels=labels)


def library_weights(family: Family) -> dict[str, np.ndarray]:
    """Made-up weights of a library's model, for images of another size and other classes."""
    torch.manual_seed(0)
    (network,) = family.standalone
    state = network({**family.fixed, "num_classes": 7, "input_size": 224}).state_dict()
    return {name: tensor.numpy() for name, tensor in state.items()}


def make_trainer(
    name: str, data: LabeledImages, weights: Any, *, seed: int = 1, **params: Any
) -> Trainer:
    family = registry.load_family(name)
    if family.pretrained and "/" in name:
        weights = library_weights(family)
    module, _, trainer = family.trainer.partition(":")
    made: Trainer = getattr(importlib.import_module(module), trainer)(
        family,
        {**family.baseline, "batch_size": 8, **params},
        data,
        train=np.arange(17),  # the last batch would be one image
        validation=np.arange(17, 24),
        num_classes=3,
        weights=weights if family.pretrained else None,
        seed=seed,
        epochs=EPOCHS,
        device="cpu",
        threads=1,
    )
    return made


def without_clock(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in row.items() if k not in {"epoch_seconds", "images_per_second"}}


@pytest.mark.parametrize("name", NAMES)
def test_its_baseline_lies_inside_its_space(name: str) -> None:
    family = registry.load_family(name)
    assert outside(distributions(family.search_space), family.baseline) == []


@pytest.mark.parametrize("name", NAMES)
def test_its_file_opens_with_the_question_it_answers(name: str) -> None:
    assert registry.summary(name).endswith("?")


def test_all_spaces_fit_into_one_table() -> None:
    assert schemas(distributions(registry.load_family(name).search_space) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_it_trains_and_repeats_itself_and_goes_on_from_a_checkpoint(
    name: str, data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    whole = make_trainer(name, data, resnet_weights)
    first = whole.train_epoch()
    state = whole.state()
    second = whole.train_epoch()
    resumed = make_trainer(name, data, resnet_weights, seed=1)
    resumed.load_state(state)
    assert resumed.epoch == 1
    assert without_clock(resumed.train_epoch()) == without_clock(second)
    assert without_clock(first) != without_clock(second)


@pytest.mark.parametrize("name", NAMES)
def test_it_gives_probabilities_and_its_weights_carry_over(
    name: str, data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    one = make_trainer(name, data, resnet_weights, seed=1)
    other = make_trainer(name, data, resnet_weights, seed=2)
    evaluation = one.evaluate(data)
    assert evaluation.probabilities.shape == (24, 3)
    assert evaluation.probabilities.sum(axis=1) == pytest.approx(np.ones(24), abs=1e-5)
    other.load_weights(one.weights())
    assert np.array_equal(other.evaluate(data).probabilities, evaluation.probabilities)


@functools.cache
def trained(name: str) -> tuple[Trainer, dict[str, torch.Tensor]]:
    """A trainer after an epoch, which tests only look at, and its network's state before."""
    trainer = make_trainer(name, made_up_data(), made_up_resnet_weights())
    before = {key: each.clone() for key, each in trainer._model.state_dict().items()}
    trainer.train_epoch()
    return trainer, before


@pytest.mark.parametrize("name", NAMES)
def test_what_it_says_of_an_image_does_not_depend_on_the_others(
    name: str, data: LabeledImages
) -> None:
    trainer, _ = trained(name)
    together = trainer.evaluate(data).probabilities
    alone = trainer.evaluate(LabeledImages(images=data.images[5:6], labels=data.labels[5:6]))
    np.testing.assert_allclose(alone.probabilities[0], together[5], atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_all_that_is_trained_and_the_rest_stays(name: str) -> None:
    trainer, before = trained(name)
    after = trainer._model.state_dict()
    changed = {key for key, each in after.items() if not each.equal(before[key])}
    if trainer.trained_parameters < trainer.parameters:  # the head of a frozen network
        assert len({key.rpartition(".")[0] for key in changed}) == 1
    else:
        assert changed >= {key for key, _ in trainer._model.named_parameters()}


@pytest.mark.parametrize("name", NAMES)
def test_its_winner_is_made_again_from_its_own_weights_alone(name: str) -> None:
    trainer, _ = trained(name)
    family = registry.load_family(name)
    size = family.baseline.get("input_size") or 32
    config = {"params": dict(family.baseline), "input_size": size, "classes": ["a", "b", "c"]}
    winner: Any = SimpleNamespace(family=family, config=config, weights=trainer.weights())
    for key, each in network_of(winner).state_dict().items():
        assert each.equal(trainer._model.state_dict()[key])


@pytest.mark.parametrize("name", OWN)
def test_no_convolution_right_before_batch_norm_has_a_bias(
    name: str, data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    modules = make_trainer(name, data, resnet_weights)._model.modules()
    pairs = itertools.pairwise(modules)
    assert [
        first
        for first, second in pairs
        if isinstance(first, torch.nn.Conv2d)
        and isinstance(second, torch.nn.BatchNorm2d)
        and first.bias is not None
    ] == []


def test_the_cnn_is_the_double_convolution_network_of_815_thousand_parameters(
    data: LabeledImages,
) -> None:
    trainer = Trainer(
        registry.load_family("cnn"),
        registry.load_family("cnn").baseline,
        data,
        train=np.arange(17),
        validation=np.arange(17, 24),
        num_classes=10,
        weights=None,
        seed=0,
        epochs=1,
        device="cpu",
        threads=1,
    )
    assert trainer.parameters == trainer.trained_parameters == 814_570
    # 3x3 convolutions at 32, 16 and 8 px, then two dense layers: two operations a multiplication
    pixels, widths = (1024, 256, 64), (32, 64, 128)
    pairs = zip(pixels, (3, *widths), widths, strict=False)
    convolutions = sum(9 * area * (i * o + o * o) for area, i, o in pairs)
    assert trainer.forward_flops_per_image == 2 * (convolutions + 2048 * 256 + 256 * 10)


def test_resnet50_takes_the_operations_that_torchvision_publishes() -> None:
    from torchvision.models import ResNet50_Weights, resnet50

    published = ResNet50_Weights.IMAGENET1K_V1.meta
    model = resnet50()
    assert parameter_counts(model) == (published["num_params"], published["num_params"])
    # torchvision counts a multiplication and an addition as one, in units of 10^9
    giga = forward_flops(model, 224, torch.device("cpu")) / 2e9
    assert giga == pytest.approx(published["_ops"], abs=5e-4)


def test_the_small_stem_keeps_the_size_of_the_image(data: LabeledImages) -> None:
    model = make_trainer("resnet50_scratch", data, None, stem="small")._model
    assert model.maxpool(model.conv1(torch.zeros(1, 3, 32, 32))).shape == (1, 64, 32, 32)


@pytest.mark.parametrize("frozen", [0, 1, 4])
def test_frozen_stages_keep_their_weights_and_statistics(
    data: LabeledImages, resnet_weights: dict[str, np.ndarray], frozen: int
) -> None:
    trainer = make_trainer("resnet50_transfer", data, resnet_weights, frozen_stages=frozen)
    trainer.train_epoch()
    for stage, name in enumerate(("bn1", "layer1.0.bn1", "layer2.0.bn1", "layer4.2.bn3")):
        mean = trainer._model.state_dict()[f"{name}.running_mean"].numpy()
        kept = np.array_equal(mean, resnet_weights[f"{name}.running_mean"])
        assert kept == (stage <= frozen and frozen > 0), name


@pytest.mark.parametrize(
    ("frozen", "stages", "words"),
    [
        (0, (), "all"),
        (1, (1,), "all but the stem and stage 1 of 4"),
        (3, (1, 2, 3), "all but the stem and stages 1 to 3 of 4"),
    ],
)
def test_what_the_transfer_family_says_of_its_network_is_so(
    data: LabeledImages,
    resnet_weights: dict[str, np.ndarray],
    frozen: int,
    stages: tuple[int, ...],
    words: str,
) -> None:
    trainer = make_trainer("resnet50_transfer", data, resnet_weights, frozen_stages=frozen)
    family = registry.load_family("resnet50_transfer")
    assert family.describe is not None
    said = family.describe({**family.baseline, "frozen_stages": frozen, "num_classes": 3})
    model = trainer._model
    assert said["trained layers"].startswith(words)
    kept = ("conv1.", "bn1.", *(f"layer{stage}." for stage in stages)) if stages else ()
    sizes = {name: (p.numel(), p.requires_grad) for name, p in model.named_parameters()}
    assert all(trained != name.startswith(kept or "-") for name, (_, trained) in sizes.items())
    assert trainer.trained_parameters == sum(n for n, trained in sizes.values() if trained)
    assert "7x7 convolution with stride 2, then 3x3 max-pooling with stride 2" in said["stem"]
    assert (model.conv1.kernel_size, model.conv1.stride) == ((7, 7), (2, 2))
    assert (model.maxpool.kernel_size, model.maxpool.stride) == (3, 2)
    units, classes = model.fc[0].out_features, model.fc[3].out_features
    assert said["head"] == f"new: {units} units, ReLU, dropout {model.fc[2].p}, {classes} classes"


def test_the_heads_learning_rate_is_multiplied(
    data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    trainer = make_trainer(
        "resnet50_transfer", data, resnet_weights, head_learning_rate_multiplier=10.0
    )
    body, head = trainer._optimizer.groups
    assert head.peak == pytest.approx(10 * body.peak)
    assert sum(p.numel() for p in head.parameters) == 2048 * 256 + 256 + 256 * 3 + 3


def test_each_stage_learns_at_a_fixed_share_of_the_rate_of_the_one_above(
    data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    trainer = make_trainer("resnet50_transfer", data, resnet_weights, layer_decay=0.5)
    *stages, head = trainer._optimizer.groups
    names = {p: name.partition(".")[0] for name, p in trainer._model.named_parameters()}
    groups = [({names[p] for p in stage.parameters}, stage.peak) for stage in stages]
    assert [each for each, _ in groups] == [
        *({f"layer{number}"} for number in (4, 3, 2, 1)),
        {"conv1", "bn1"},
    ]
    assert [peak for _, peak in groups] == pytest.approx([head.peak / 2**k for k in range(1, 6)])
    assert {names[p] for p in head.parameters} == {"fc"}


@pytest.mark.parametrize("name", NAMES)
def test_no_dimension_of_its_space_is_one_that_nobody_reads(
    name: str, resnet_weights: dict[str, np.ndarray]
) -> None:
    family = registry.load_family(name)
    if family.trainer != type(family).trainer:
        pytest.skip("a trainer of its own reads what it reads")
    weights = resnet_weights if name in OWN else library_weights(family)
    given = {"num_classes": 3, "input_size": 32, "weights": weights if family.pretrained else None}
    asked = Asked({**family.baseline, **given})
    family.build(asked)
    read = {*from_scratch(), *ABSENT, *PLAIN_INPUT} - {"dropout"}  # by the trainer; see its tests
    assert {*family.search_space} - asked.names - read == set()


class Asked(dict[str, Any]):
    """A configuration that knows which of its entries were read."""

    def __init__(self, entries: dict[str, Any]) -> None:
        super().__init__(entries)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: Any = None) -> Any:
        self.names.add(name)
        return super().get(name, default)


def test_images_are_upsampled_to_the_input_size(
    data: LabeledImages, resnet_weights: dict[str, np.ndarray]
) -> None:
    trainer = make_trainer("resnet50_transfer", data, resnet_weights, input_size=64)
    assert trainer._steps._prepare(torch.from_numpy(data.images[:2])).shape == (2, 3, 64, 64)
