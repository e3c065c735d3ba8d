"""Makes the demo's pre-trained weights: a ResNet50 taught on generated strokes, no real images."""

import importlib.metadata
import json
import math
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import platformdirs

if TYPE_CHECKING:
    from torch import nn

PRETRAINING_VERSION = 1  # raise with every change that alters the weights: the cached name has it

CLASSES = 32
IMAGE_SIZE = 32  # pixels, the demo's input size
BATCH_SIZE = 32
STEPS = 100  # x 32 = 3,200 images, each seen once: about a minute of one busy CPU core
PEAK_LEARNING_RATE = 1e-3
WARM_UP = 0.25  # share of the steps
WEIGHT_DECAY = 1e-4

SOURCE_TASK = "strokes with cosine-series centre lines; a class is a set of coefficients"
LICENCE_NOTE = "generated; no real images"

STROKES = 2  # the second is drawn for odd labels only
STROKE_POINTS = 48
# Standard deviations of the coefficients: the stroke's place, then harmonics 1 to 4.
COEFFICIENT_SCALE = np.array([0.6, 1.0, 1 / 2, 1 / 3, 1 / 4])
WITHIN_CLASS = 0.18  # the share of them by which the images of one class differ
RENDERED_AT_ONCE = 128  # images: their distances to every stroke point take 50 MB

Floats = npt.NDArray[np.floating]


def cached_weights_path() -> Path:
    """The file in the user's cache for this recipe and torch's major.minor version."""
    torch_version = ".".join(importlib.metadata.version("torch").split(".")[:2])
    name = f"resnet50-strokes-v{PRETRAINING_VERSION}-torch{torch_version}.safetensors"
    return platformdirs.user_cache_path("transfer-study") / name


def generate_source_task(
    images: int, classes: int, size: int, seed: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
    """Draws light strokes on dark ground, after a formula whose coefficients are the class.

    Formula-driven supervision: Kataoka et al. 2020, "Pre-training without Natural Images".
    They draw fractals; strokes were chosen here as nearest to the demo's written digits.
    The same arguments give the same images.

    Args:
        images: How many; the classes share them as evenly as they can.
        classes: How many; at most `images`, so that each has one.
        size: Edge of an image in pixels.
        seed: Decides the classes as well as the images.

    Returns:
        Grey images as RGB, uint8 in 0 to 255, shape [images, size, size, 3], and their
        labels, int64, shape [images], in random order.

    Raises:
        ValueError: If there are fewer images than classes, or no class.
    """
    if not 1 <= classes <= images:
        raise ValueError(f"`1 <= classes <= images` must hold, but got ({classes=}, {images=})")
    random = np.random.default_rng(seed)
    shape = (classes, STROKES, len(COEFFICIENT_SCALE), 2)
    class_coefficients = random.normal(size=shape) * COEFFICIENT_SCALE[:, None]
    labels = random.permutation(np.arange(images, dtype=np.int64) % classes)
    pictures = np.empty((images, size, size, 3), np.uint8)
    for start in range(0, images, RENDERED_AT_ONCE):
        chunk = slice(start, start + RENDERED_AT_ONCE)
        points = _place(random, _draw_strokes(random, class_coefficients, labels[chunk]))
        pictures[chunk] = _ink(random, points, size)[..., None]
    return pictures, labels


def _draw_strokes(
    random: np.random.Generator, class_coefficients: Floats, labels: npt.NDArray[np.int64]
) -> Floats:
    """Points of each image's strokes, in -1 to 1, shape [images, points of all strokes, 2]."""
    shape = (len(labels), *class_coefficients.shape[1:])
    variation = WITHIN_CLASS * random.normal(size=shape) * COEFFICIENT_SCALE[:, None]
    coefficients = class_coefficients[labels] + variation
    even = labels % 2 == 0
    coefficients[even, 1] = coefficients[even, 0]  # the second stroke covered by the first
    angles = np.linspace(0, np.pi, STROKE_POINTS)
    basis = np.cos(angles[:, None] * np.arange(len(COEFFICIENT_SCALE)))
    points = np.einsum("pk,iskd->ispd", basis, coefficients)
    points = points.reshape(len(labels), -1, 2)  # the strokes of an image in one list
    low, high = points.min(1, keepdims=True), points.max(1, keepdims=True)
    fitted: Floats = (points - (low + high) / 2) / ((high - low).max(2, keepdims=True) / 2)
    return fitted


def _place(random: np.random.Generator, points: Floats) -> Floats:
    """Turns, stretches and shifts each image's points; shapes as `_draw_strokes` gives them."""
    images = len(points)
    angle = random.uniform(-0.3, 0.3, images)  # radians
    cosine, sine = np.cos(angle), np.sin(angle)
    rotation = np.stack([cosine, -sine, sine, cosine], axis=-1).reshape(images, 2, 2)
    stretch = np.exp(0.1 * random.normal(size=(images, 1, 2)))
    scale = random.uniform(0.6, 0.95, (images, 1, 1)) * stretch
    shift = random.uniform(-0.12, 0.12, (images, 1, 2))
    placed: Floats = points @ rotation * scale + shift
    return placed


def _ink(random: np.random.Generator, points: Floats, size: int) -> npt.NDArray[np.uint8]:
    """Grey pictures, shape [images, size, size], of strokes of random width and sharpness."""

    def one_of_each(low: float, high: float) -> Floats:
        return random.uniform(low, high, (len(points), 1, 1))

    grid = np.linspace(-1, 1, size, dtype=np.float32)
    squares = (points.astype(np.float32)[..., None] - grid) ** 2  # [images, points, 2, size]
    squared_distances = squares[:, :, 1, :, None] + squares[:, :, 0, None, :]
    distances = np.sqrt(squared_distances.min(axis=1))  # to the nearest point of a stroke
    inside = one_of_each(0.08, 0.22) - distances
    ink = np.clip(inside / one_of_each(0.06, 0.25) + 0.5, 0, 1)
    ground, light = one_of_each(0, 0.1), one_of_each(0.6, 1)
    grey = ground + (light - ground) * ink + 0.02 * random.normal(size=ink.shape)
    pictures: npt.NDArray[np.uint8] = (np.clip(grey, 0, 1) * 255).round().astype(np.uint8)
    return pictures


def pretrain_resnet50(path: Path, *, seed: int, threads: int) -> None:
    """Trains torchvision's ResNet50 (ImageNet stem) on strokes and saves it under `path`.

    Inputs are 32 px in [0, 1] without mean or standard deviation, as the demo's baseline
    takes them. The number of steps is fixed, so on one machine the same seed and threads give
    the same file, byte for byte. It is float32 safetensors with torchvision's names, the source
    classes' `fc` included, and metadata that says how it was made. It appears when it is
    complete; of several processes at once, the last one's file stays.

    Args:
        path: Where the weights go; missing folders are made, an older file is replaced.
        seed: Decides the images, their classes and the initial weights.
        threads: CPU threads for torch during the training.
    """
    import torch

    threads_before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        network = _train(seed)
    finally:
        torch.set_num_threads(threads_before)
    _save(network, path, _describe(seed, threads))


def _train(seed: int) -> "nn.Module":
    """One pass over `STEPS` fresh batches with AdamW; the caller's random state is kept."""
    import torch
    from torch.nn.functional import cross_entropy
    from torchvision.models import resnet50

    pictures, labels = generate_source_task(STEPS * BATCH_SIZE, CLASSES, IMAGE_SIZE, seed)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        # Each residual block starts as the identity: a hundred steps are few for fifty layers.
        network: nn.Module = resnet50(num_classes=CLASSES, zero_init_residual=True)
    network = network.to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=WEIGHT_DECAY, fused=True)
    for step in range(STEPS):
        batch = slice(step * BATCH_SIZE, (step + 1) * BATCH_SIZE)
        # Channels stay last in memory: [batch, height, width, 3] is viewed as [batch, 3, ...].
        inputs = torch.from_numpy(pictures[batch]).permute(0, 3, 1, 2) / 255
        optimizer.param_groups[0]["lr"] = _learning_rate(step)
        optimizer.zero_grad()
        torch.autograd.backward(cross_entropy(network(inputs), torch.from_numpy(labels[batch])))
        optimizer.step()
    return network


def _learning_rate(step: int) -> float:
    """One cycle: a straight rise to the peak, then half a cosine down to nearly zero."""
    progress = (step + 1) / (STEPS + 1)
    if progress < WARM_UP:
        return PEAK_LEARNING_RATE * progress / WARM_UP
    return PEAK_LEARNING_RATE * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP))) / 2


def _describe(seed: int, threads: int) -> dict[str, str]:
    """What the file says of itself, in one JSON object under `pretraining`.

    One key, since safetensors writes several in random order: the same weights then give the
    same bytes, and with them the same SHA-256.
    """
    facts = {
        "title": "ResNet50 pre-trained on generated strokes, for the demo's transfer family",
        "version": PRETRAINING_VERSION,
        "source_task": SOURCE_TASK,
        "source_classes": CLASSES,
        "images": STEPS * BATCH_SIZE,
        "image_size": IMAGE_SIZE,
        "steps": STEPS,
        "batch_size": BATCH_SIZE,
        "seed": seed,
        "threads": threads,
        "torch": importlib.metadata.version("torch"),
        "licence": LICENCE_NOTE,
    }
    return {"pretraining": json.dumps(facts)}


def _save(network: "nn.Module", path: Path, metadata: dict[str, str]) -> None:
    """Writes under a name of its own in the same folder and renames last."""
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex}")
    tensors = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        save_file(tensors, unfinished, metadata=metadata)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
