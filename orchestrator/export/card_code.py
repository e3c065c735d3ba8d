"""The Python code in a winner's card: loads the network without this project, and predicts."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final

from trainables import registry
from trainables.data.dataset import DataSet
from trainables.family import Family

# Prepares images as `preprocessing.preparation` does, and evaluates in batches as training.
CODE: Final = '''\
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch.nn import functional

FOLDER = Path(".")  # where config.json and model.safetensors lie


{functions}


config = json.loads((FOLDER / "config.json").read_text(encoding="utf-8"))
size, classes = config["input_size"], config["classes"]
sizes = {{"input_size": size, "num_classes": len(classes)}}
model = {network}({{**config["fixed"], **config["params"], **sizes}})
model.load_state_dict(load_file(FOLDER / "model.safetensors"))
model = model.to(memory_format=torch.channels_last).eval()
mean, deviation = (
    255 * torch.tensor(config["normalization"][name]).view(1, 3, 1, 1)
    for name in ("mean", "standard_deviation")
)


def prepare(images: torch.Tensor) -> torch.Tensor:
    """uint8 [n, height, width, 3] to normalised float32 [n, 3, size, size]."""
    channels_first = images.permute(0, 3, 1, 2)
    floats = channels_first.to(torch.float32, memory_format=torch.channels_last)
    normalized = (floats - mean) / deviation
    if normalized.shape[-1] == size:
        return normalized
    return functional.interpolate(normalized, size=(size, size), mode="bilinear")


@torch.no_grad()
def predict(images: np.ndarray) -> np.ndarray:
    """Probabilities of the classes, float32 [n, classes], of RGB images, uint8 [n, h, w, 3]."""
    batches = torch.tensor(images).split(500)
    return torch.cat([model(prepare(batch)).softmax(1) for batch in batches]).numpy()
'''


def code_of(family: Family) -> str | None:
    """The code for a family's winners; None where its network cannot be made without us."""
    if not family.standalone:
        return None
    functions = [inspect.getsource(function).strip() for function in family.standalone]
    return CODE.format(functions="\n\n\n".join(functions), network=family.standalone[-1].__name__)


def image_code(dataset: DataSet, width: int) -> str:
    """The code that makes `image`, uint8 [width, width, 3], of a file as training did."""
    functions = image_functions(dataset)
    sources = [inspect.getsource(function).strip() for function in functions]
    call = f'image = {functions[-1].__name__}(Path("image.png").read_bytes(), {width}, "image.png")'
    return "\n\n\n".join(["import io\n\nimport numpy.typing as npt", *sources, call])


def image_functions(dataset: DataSet) -> Sequence[Callable[..., Any]]:
    """What reads an image file for a data set's winner; see `DataSet.standalone`.

    Of a data set whose images are no files of people's, new ones are read as those of a folder.
    """
    return dataset.standalone or registry.load_dataset("folder").standalone
