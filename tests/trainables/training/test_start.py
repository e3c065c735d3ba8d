"""What a process that trains imports and how it keeps its memory; each in a process of its own."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGES = 16_384
"""Of the tensor that is made ten times, 64 MiB."""
TRAINING = """
import resource, sys
import numpy as np
import torch
from torch import nn
from search_spaces.baseline import BASELINE
from search_spaces.spaces import from_scratch
from trainables.data.dataset import LabeledImages
from trainables.family import Family
from trainables.training.trainer import Trainer

def build(config):
    return nn.Sequential(nn.Flatten(), nn.Linear(192, config["num_classes"]))

family = Family(name="tiny", build=build, search_space=from_scratch(), baseline=BASELINE)
for optimizer in ("adam", "adamw", "sgd"):
    trainer = Trainer(
        family, {**BASELINE, "optimizer": optimizer},
        LabeledImages(images=np.zeros((20, 8, 8, 3), np.uint8), labels=np.arange(20) % 2),
        train=np.arange(10), validation=np.arange(10, 20), num_classes=2, weights=None, seed=0,
        epochs=2, device="cpu", threads=1,
    )
    trainer.train_epoch()
    trainer.load_state(trainer.state())
compiler = [name for name in sys.modules if name.startswith(("torch._dynamo", "torch._inductor"))]
assert not compiler, compiler

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

torch.zeros(16 << 20)
before = faults()
for _ in range(10):
    torch.zeros(16 << 20)
print(faults() - before)
"""


def test_training_imports_no_compiler_and_its_memory_is_cleared_by_the_kernel_once() -> None:
    done = subprocess.run(
        [sys.executable, "-c", TRAINING], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 2 * PAGES
