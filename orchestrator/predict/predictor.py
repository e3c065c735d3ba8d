"""A winner with its weights, or those of all its seeds, on images prepared as in its training."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from orchestrator.export.card_code import image_functions
from orchestrator.export.network import network_of
from orchestrator.export.winners import Winner, read_ensemble, read_winners
from orchestrator.results.files import check_inside, read_study, read_table
from orchestrator.stats.ensemble import ensembles
from orchestrator.stats.predictions import split_runs
from orchestrator.terminal import shown
from trainables.data.decoding import brightest
from trainables.data.files import one_line_errors
from trainables.data.junk import is_junk
from trainables.data.survey import is_dark
from trainables.names import full_name
from trainables.training.preprocessing import evaluation_batch, preparation, to_device

PROBABILITY_OF = "probability of {}"
Images = npt.NDArray[np.uint8]
Probabilities = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Predictor:
    """The winner of a family.

    Attributes:
        study: The name of its study.
        family: Its family.
        trial_id: The training that its weights are from; of an ensemble the one that is best on
            validation.
        classes: Names; a probability's place is an index into them.
        image_size: Edge in pixels of the squares that images are made to.
        validation_accuracy: Of this training, 0 to 1; None of an ensemble, which nobody measured.
        test_accuracy: Of this training or ensemble, 0 to 1.
        device: `cuda` or `cpu`.
        decode: A file's bytes, the edge and the file's name to RGB, uint8 [edge, edge, 3].
        evaluate: A batch of images to its probabilities.
        batch: Most images of a batch.
        ensemble: The trainings whose probabilities are averaged; empty where it is one training's.
    """

    study: str
    family: str
    trial_id: str
    classes: Sequence[str]
    image_size: int
    validation_accuracy: float | None
    test_accuracy: float
    device: str
    decode: Callable[[bytes, int, str], Images]
    evaluate: Callable[[Images], Probabilities]
    batch: int
    ensemble: Sequence[str] = ()

    def __call__(self, images: Images) -> Probabilities:
        """Probabilities of the classes.

        Args:
            images: RGB, uint8 [images, image_size, image_size, 3].

        Returns:
            float32 [images, classes].

        Raises:
            ValueError: They are of another type or shape.
        """
        shape = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ValueError(
                f"images must be uint8 [images, {', '.join(map(str, shape))}], "
                f"but are {images.dtype} {list(images.shape)}"
            )
        starts = range(0, len(images), self.batch)
        found = [self.evaluate(images[at : at + self.batch]) for at in starts]
        return np.concatenate([np.empty((0, len(self.classes)), np.float32), *found])

    def files(self, paths: Sequence[str | Path], *, but: Path | None = None) -> pd.DataFrame:
        """Predictions for image files, and for all files in folders and below, `but` one.

        Returns:
            A row for each file: `file`, where bytes that are no UTF-8 are escaped; `class` and
            `probability`, those of the most probable; `probability of NAME` for each class;
            `error`, why the file is no image, else null. A file with an error has no other values.

        Raises:
            ValueError: Some of the paths are not there or have no file.
        """
        return self.files_and_dark(paths, but=but)[0]

    def files_and_dark(
        self, paths: Sequence[str | Path], *, but: Path | None = None
    ) -> tuple[pd.DataFrame, list[str]]:
        """The same, and the files whose 16 bits a channel have data of so few that they are dark.

        They become so once the upper 8 are kept.
        """
        listed = list_files(paths, but=but)
        rows: list[dict[str, Any]] = []
        dark: list[str] = []
        with warnings.catch_warnings(), ThreadPoolExecutor() as threads:
            warnings.simplefilter("ignore")  # what Pillow warns of is decoded, or refused by us
            for at in range(0, len(listed), self.batch):
                some = listed[at : at + self.batch]
                read, highest = zip(*threads.map(self._read, some), strict=True)
                dark += [
                    shown(str(path))
                    for path, value in zip(some, highest, strict=True)
                    if is_dark(value)
                ]
                images = [image for image in read if not isinstance(image, str)]
                found = iter(self(np.stack(images)) if images else ())
                for path, image in zip(some, read, strict=True):
                    row = {"error": image} if isinstance(image, str) else self._row(next(found))
                    rows.append({"file": shown(str(path)), **row})
        names = map(PROBABILITY_OF.format, self.classes)
        columns = ["file", "class", "probability", *names, "error"]
        return pd.DataFrame(rows, columns=columns), dark

    def _read(self, path: Path) -> tuple[Images | str, int | None]:
        """The image in a file, or why it has none; and the brightest of its 16 bits a channel."""
        name = shown(str(path))
        if not path.is_file():  # a pipe would be read for ever
            return f"an image must be a file, but {name} is none", None
        try:
            with one_line_errors(name):
                content = path.read_bytes()
            return self.decode(content, self.image_size, name), brightest(content)
        except ValueError as error:
            return " ".join(str(error).split()), None

    def _row(self, probabilities: Probabilities) -> dict[str, Any]:
        best = int(probabilities.argmax())
        each = zip(self.classes, probabilities.tolist(), strict=True)
        return {
            "class": self.classes[best],
            "probability": float(probabilities[best]),
            **{PROBABILITY_OF.format(name): value for name, value in each},
        }


def load(results: str | Path, family: str | None = None, *, ensemble: bool = False) -> Predictor:
    """The winner of a finished study, on a GPU where there is one.

    Args:
        results: The study's folder.
        family: Whose winner; None for the one that is best on validation, since the test set is
            there to say how good a choice is, not to make it.
        ensemble: Average the probabilities of all its seeds; else the best on validation is taken.

    Raises:
        ValueError: The folder is no study, or has no weights of such a winner, or ensemble.
    """
    folder = Path(results)
    check_inside(folder)
    winners, missing = read_winners(folder, read_study(folder))
    family = family and full_name(family)
    named = [each for each in winners if family in {None, each.family.name}]
    if not named:
        if family is None or any(text.startswith(f"{family}: ") for text in missing):
            message = f"{folder} must have a winner's weights, but has {'; '.join(missing)}"
        else:
            known = ", ".join(each.family.name for each in winners)
            message = f"--family must be one of {known}, but is {family!r}"
        raise ValueError(message)
    winner = max(named, key=_on_validation)
    if not ensemble:
        return _loaded(winner)
    seeds = [_loaded(each) for each in read_ensemble(folder, winner)]
    found = ensembles(split_runs(read_table(folder, "predictions")))
    accuracies = [each.accuracy for each in found if each.family == winner.family.name]
    if not accuracies:
        raise ValueError(
            f"{folder / 'predictions.parquet'} must have the seeds of {winner.family.name}"
        )

    def evaluate(images: Images) -> Probabilities:
        return np.asarray(np.mean([each.evaluate(images) for each in seeds], axis=0))

    return replace(
        _loaded(winner),
        ensemble=[each.trial_id for each in seeds],
        validation_accuracy=None,
        test_accuracy=accuracies[-1],
        evaluate=evaluate,
    )


def _on_validation(winner: Winner) -> tuple[float, float]:
    final = winner.final
    return final["validation_accuracy"], -final["validation_loss"]


def _loaded(winner: Winner) -> Predictor:
    config, device = winner.config, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    edge, size, classes = config["image_shape"][0], config["input_size"], config["classes"]
    network = network_of(winner).to(device).to(memory_format=torch.channels_last).eval()
    prepare = preparation(config["normalization"]["name"], edge=edge, size=size, device=device)

    @torch.no_grad()
    def evaluate(images: Images) -> Probabilities:
        logits = network(prepare(to_device(images, device)))
        probabilities: Probabilities = logits.float().softmax(1).cpu().numpy()
        return probabilities

    return Predictor(
        study=winner.study.name,
        family=winner.family.name,
        trial_id=config["trial_id"],
        classes=classes,
        image_size=edge,
        validation_accuracy=winner.final["validation_accuracy"],
        test_accuracy=winner.final["test_accuracy"],
        device=device.type,
        decode=image_functions(winner.dataset)[-1],
        evaluate=evaluate,
        batch=evaluation_batch(size),
    )


def list_files(paths: Sequence[str | Path], *, but: Path | None = None) -> list[Path]:
    """The files named, and those in the folders named and below, sorted, as training takes them.

    Below a folder all that is no folder is listed: a link that leads nowhere is no image either.

    Args:
        paths: Files and folders.
        but: A file that is none of them, though it may lie in a folder.

    Raises:
        ValueError: Some of the paths are not there, have no file, or have a folder in them that
            cannot be listed.
    """
    listed: list[Path] = []
    wrong = []
    for given in paths:
        path = Path(given)
        if given == "":  # as a path, it would be this folder
            wrong.append("one has no name")
        elif path.is_dir():
            unread: list[OSError] = []
            below = sorted(each for each, out in _below(path, but, unread.append) if not out)
            listed += below
            wrong += [f"{each.filename} cannot be listed ({each.strerror})" for each in unread]
            wrong += [] if below or unread else [f"{path} has no file"]
        elif path.is_file():
            listed.append(path)
        else:
            wrong.append(f"{path} {'is no file' if path.exists() else 'is not there'}")
    if wrong:
        raise ValueError(
            f"what to predict must be image files or folders of them, but {'; '.join(wrong)}"
        )
    return listed


def left_out(paths: Sequence[str | Path], *, but: Path | None = None) -> list[Path]:
    """What in the folders named `list_files` leaves out, sorted."""
    folders = [path for path in map(Path, paths) if path.is_dir()]
    found = (each for folder in folders for each in _below(folder, but, lambda _: None))
    return sorted(path for path, out in found if out)


def _below(
    folder: Path, but: Path | None, cannot_list: Callable[[OSError], object]
) -> Iterator[tuple[Path, bool]]:
    """All that is no folder, also through links to folders, but to one that they lie in.

    With each whether it is left out: hidden, what a file manager left, or the one not to take;
    of a folder that is left out not what is in it.
    """
    for root, folders, names in os.walk(folder, onerror=cannot_list, followlinks=True):
        here = Path(root)
        above = {here.resolve(), *here.resolve().parents}
        taken = [name for name in folders if not _is_left_out(name)]
        yield from ((here / name, True) for name in folders if name not in taken)
        folders[:] = [name for name in taken if (here / name).resolve() not in above]
        own = but.name if but is not None and but.parent.resolve() == here.resolve() else None
        yield from ((here / name, name == own or _is_left_out(name)) for name in names)


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or is_junk(name)
