"""What a node says of itself, from made-up files of a kernel."""

from pathlib import Path

import pytest

from trainables import hardware

INTEL = "processor\t: 0\nmodel name\t: Xeon 8592+\nflags\t\t: fpu avx512f {} amx_tile\n"
ARM = "processor\t: 0\nFeatures\t: fp asimd {}\n"
CARD = "Model: \t\t NVIDIA H100 80GB HBM3\nIRQ:   \t\t 155\n"
DRIVER = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release Build\n"


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for /proc, without a GPU."""
    monkeypatch.setattr(hardware, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(hardware, "NVIDIA", tmp_path / "nvidia")
    (tmp_path / "cpuinfo").write_text(INTEL.format("avx512_bf16"))
    return tmp_path


@pytest.mark.parametrize(
    ("text", "has"),
    [
        (INTEL.format("avx512_bf16"), True),
        (INTEL.format("amx_bf16"), True),
        (INTEL.format("avx512_vnni"), False),
        (ARM.format("bf16"), True),
        (ARM.format("i8mm"), False),
        ("", False),
    ],
)
def test_a_processor_that_multiplies_bf16_is_known_by_its_flags(
    node: Path, text: str, has: bool
) -> None:
    (node / "cpuinfo").write_text(text)
    assert hardware.here().bf16 == has
    assert (hardware.precision_error("bf16", "cpu", hardware.here()) == "") == has
    assert hardware.precision_error("bf16", "cuda", hardware.here()) == ""


def test_a_node_is_told_in_a_few_words(node: Path) -> None:
    for number in ("0000:17:00.0", "0000:65:00.0"):
        (node / "nvidia" / "gpus" / number).mkdir(parents=True)
        (node / "nvidia" / "gpus" / number / "information").write_text(CARD)
    (node / "nvidia" / "version").write_text(DRIVER)
    words = str(hardware.here())
    assert words.startswith("Xeon 8592+, 2 x NVIDIA H100 80GB HBM3, driver 570.86.15")


def test_a_node_of_which_nothing_is_known_has_no_gpu(node: Path) -> None:
    (node / "cpuinfo").unlink()
    found = hardware.here()
    assert (found.gpus, found.driver, found.bf16) == ((), "", False)


def test_a_precision_that_a_node_lacks_is_refused_with_what_it_has(node: Path) -> None:
    (node / "cpuinfo").write_text(INTEL.format(""))
    error = hardware.precision_error("bf16", "cpu", hardware.here())
    assert "must go with a processor that has avx512_bf16 or amx_bf16" in error
    assert error.endswith("(Xeon 8592+); choose from fp32")
    assert hardware.precision_error("tf32", "cpu", hardware.here()) == (
        "precision on a CPU must be one of fp32, bf16, but got 'tf32'"
    )
