"""F22: code in a file of weights, a checkpoint or predictions does not run; the file is refused."""

import dataclasses
import hashlib
import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up_rows import final_run
from made_up_trials import config_of
from safetensors import SafetensorError

from orchestrator import study
from orchestrator.run import finals
from trainables import checkpoints as checkpointing
from trainables.attempt import Attempt
from trainables.attempt_config import AttemptConfig
from trainables.data.dataset import LabeledImages
from trainables.registry import load_family
from trainables.shared_data import SharedData
from trainables.trial_files import BEST_WEIGHTS, PREDICTIONS, checkpoint_folder
from trainables.weights import loading as weights


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.trace),)


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    """What is there after the payload ran."""
    return tmp_path / "it-ran"


def torch_file(payload: Payload) -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv1.weight": payload}, buffer)
    return buffer.getvalue()


def old_torch_file(payload: Payload) -> bytes:
    buffer = io.BytesIO()
    torch.save({"conv1.weight": payload}, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def bare_pickle(payload: Payload) -> bytes:
    return pickle.dumps({"conv1.weight": payload})


FORMS = (torch_file, old_torch_file, bare_pickle)
every_form = pytest.mark.parametrize("form", FORMS, ids=lambda form: form.__name__)
Form = Callable[[Payload], bytes]


def test_the_payload_runs_where_pickles_are_trusted(trace: Path) -> None:
    pickle.loads(bare_pickle(Payload(trace)))
    assert trace.exists()
    trace.rmdir()
    torch.load(io.BytesIO(torch_file(Payload(trace))), weights_only=False)
    assert trace.exists()


# Weights


@every_form
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_f22_a_study_refuses_hostile_weights_in_one_line_and_their_code_does_not_run(
    tmp_path: Path, trace: Path, form: Form, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"hostile{suffix}"
    path.write_bytes(form(Payload(trace)))
    arguments = ["--dataset", "digits", "--families", "resnet50_transfer", "--weights", str(path)]
    assert study.main([*arguments, "--results-dir", str(tmp_path / "results")]) == 2
    error = capsys.readouterr().err
    assert f"{path} must hold a state dict of tensors only" in error
    assert error.count("\n") == 1
    assert "weights_only" not in error  # torch's own message says how to run the code
    assert sorted(tmp_path.iterdir()) == [path]


def test_f22_a_compiled_model_is_no_weights_file_and_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "hostile.pth"
    with pytest.warns((FutureWarning, DeprecationWarning)):
        torch.jit.script(torch.nn.Linear(2, 2)).save(str(path))
    with pytest.raises(ValueError, match="must hold a state dict of tensors only"):
        weights.read(weights.locate(str(path)))


@pytest.mark.parametrize("header", [b"", b"{x", b'{"conv1.weight": 3}', b"\xff" * 8])
def test_f22_garbage_in_the_safetensors_format_is_refused_in_one_line(
    tmp_path: Path, header: bytes
) -> None:
    path = tmp_path / "hostile.safetensors"
    for length in (len(header), 2**40, 2**63):
        path.write_bytes(length.to_bytes(8, "little") + header)
        with pytest.raises(ValueError, match="must hold a state dict of tensors only") as caught:
            weights.read(weights.locate(str(path)))
        assert "\n" not in str(caught.value)


# Checkpoints


@pytest.fixture
def shared(made_up_images: LabeledImages) -> SharedData:
    return SharedData(
        training=made_up_images,
        train={1.0: np.arange(40)},
        validation=np.arange(40, 60),
        classes=("a", "b", "c"),
        weights={},
    )


def cnn(folder: Path, *, number: int = 1) -> AttemptConfig:
    """An attempt at a trial that torch trains."""
    params = {**load_family("cnn").baseline, "width": 16}
    return dataclasses.replace(
        config_of(folder, number=number), trial_id="cnn-001", family="cnn", params=params
    )


def put_into_checkpoint(folder: Path, state: bytes) -> None:
    """Replaces the state of the newest checkpoint; its manifest says that this is right."""
    path = folder / f"epoch-{checkpointing.epochs(folder)[-1]:05d}.json"
    manifest = json.loads(path.read_text())
    manifest |= {"bytes": len(state), "sha256": hashlib.sha256(state).hexdigest()}
    path.write_text(json.dumps(manifest))
    path.with_suffix(".pt").write_bytes(state)


@every_form
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_f22_an_attempt_fails_on_a_hostile_checkpoint_and_its_code_does_not_run(
    tmp_path: Path, trace: Path, shared: SharedData, form: Form
) -> None:
    Attempt(cnn(tmp_path), shared, None).step()
    put_into_checkpoint(cnn(tmp_path).checkpoints, form(Payload(trace)))
    with pytest.raises(ValueError, match="a checkpoint must hold tensors and plain values only"):
        Attempt(cnn(tmp_path, number=2), shared, None)
    assert not trace.exists()


@every_form
def test_f22_hostile_weights_of_a_best_epoch_fail_the_attempt_and_their_code_does_not_run(
    tmp_path: Path, trace: Path, shared: SharedData, form: Form
) -> None:
    final = dataclasses.replace(cnn(tmp_path), is_final=True)
    running = Attempt(final, shared, shared.training)
    for accuracy in (0.9, 0.5):  # the first epoch is the best
        running.step()
        running.rows[-1]["objective"] = accuracy
    (cnn(tmp_path).checkpoints / BEST_WEIGHTS).write_bytes(form(Payload(trace)))
    running._writer._keep_best = lambda *_: None
    with pytest.raises(SafetensorError):
        running.step()
    assert not trace.exists()


# Predictions


def zipped(path: Path, probabilities: np.ndarray) -> None:
    with path.open("wb") as file:
        np.savez(file, probabilities=probabilities, labels=np.zeros(1))


def pickled(path: Path, probabilities: np.ndarray) -> None:
    path.write_bytes(pickle.dumps(probabilities))


@pytest.mark.parametrize("write", [zipped, pickled], ids=lambda write: write.__name__)
def test_f22_hostile_predictions_are_refused_and_their_code_does_not_run(
    tmp_path: Path, trace: Path, write: Callable[[Path, np.ndarray], None]
) -> None:
    row = {"study": "test", **final_run()}
    path = checkpoint_folder(tmp_path, row["trial_id"]) / PREDICTIONS
    path.parent.mkdir(parents=True)
    write(path, np.array([[Payload(trace)]], dtype=object))
    with pytest.raises(ValueError, match="allow_pickle="):
        finals.predictions(tmp_path, [row])
    assert not trace.exists()


# Settings


@pytest.mark.parametrize("tag", ["object/apply:os.mkdir", "object/new:os.mkdir"])
def test_f22_a_hostile_settings_file_is_refused_and_its_code_does_not_run(
    tmp_path: Path, trace: Path, tag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(f"epochs: !!python/{tag} ['{trace}']\n")
    assert study.main(["--config", str(file)]) == 2
    assert "--config must be a readable YAML file" in capsys.readouterr().err
    assert not trace.exists()
