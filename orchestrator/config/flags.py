"""The flags of the study command: few, each with its unit; the rest is `--set` or `--config`."""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from orchestrator.cli import OneLineParser
from orchestrator.config import sources
from orchestrator.config.columns import COLUMNS
from orchestrator.config.settings import Settings
from orchestrator.config.sources import PRESETS, resolve

_DEFAULTS = {field.name: field.default for field in fields(Settings)}


def make_parser() -> argparse.ArgumentParser:
    """The parser of `python -m orchestrator.study`."""
    parser = OneLineParser(
        prog="python -m orchestrator.study",
        description="Searches each model family around its baseline and compares them honestly.",
        epilog="Anything else is a field of Settings (orchestrator/config/settings.py), set by "
        "--set name=value.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("--families", help=_help("all, or names separated by commas", "families"))
    add("--preset", help=_help(", ".join(PRESETS), "preset"))
    add("--dataset", help=_help("cifar10, digits, folder, or another by name", "dataset"))
    add("--data-dir", help="path or URI of its files (the user's cache, downloaded once)")
    add(
        "--image-size",
        help="edge in pixels that your own images are scaled to (from these, at most 224)",
    )
    for column, what in COLUMNS.items():
        add(f"--{column}-column", metavar="NAME", help=what)
    add(
        "--weights",
        help=_help(
            "imagenet, imagenet_v2, or a .pth/.safetensors file; NAME=FILE,... for each family",
            "weights",
        ),
    )
    add(
        "--probe",
        action="store_const",
        const=True,
        help="first ask what the frozen pre-trained networks know: seconds to a minute each",
    )
    add("--precision", help="tf32, fp32 or bf16, of all trials (tf32 on GPUs, fp32 on CPUs)")
    add("--trials", help=_help("trials per family, the baseline included", "trials"))
    add(
        "--budget-gpu-hours",
        metavar="HOURS",
        help="device-hours for all, finals included, an equal share per family (no limit)",
    )
    add("--time-budget", metavar="HOURS", help="wall hours for all, finals included (no limit)")
    add(
        "--stop-when-settled",
        metavar="CHANCE",
        help="end the searches once more trials change which family wins with less than this "
        "chance, e.g. 0.01 (never)",
    )
    add("--epochs", help=_help("epochs of a trial that is not stopped", "epochs"))
    add("--grace-period", help=_help("epochs before a trial can be stopped", "grace_period"))
    add("--reduction-factor", help=_help("one in this many survives a rung", "reduction_factor"))
    add("--train-fractions", help="shares of the training images for the finals (1.0)")
    add(
        "--tune-per-fraction",
        action="store_const",
        const=True,
        help="search at each of these shares too; the plan says what it costs",
    )
    add(
        "--equal-steps",
        action="store_const",
        const=True,
        help="train finals on smaller shares for more epochs: about the same steps at each",
    )
    add("--gpus-per-trial", help="GPUs per trial: 0, 1 or a share 1/n (1 where there are any)")
    add("--cpus-per-trial", help="CPUs per trial, and its torch threads (1)")
    add("--device-type", metavar="TYPE", help="of GPUs, as Ray names it: L4, A100 (the only one)")
    add(
        "--mix-devices",
        action="store_const",
        const=True,
        help="use all types of devices: device-seconds are weighed by measured speed",
    )
    add("--max-concurrent", help="trials at a time (as many as fit); 1: reproducible order")
    add("--address", help="Ray cluster (RAY_ADDRESS, the one running here, else a new one); local")
    add(
        "--no-dashboard",
        dest="dashboard",
        action="store_const",
        const=False,
        help="without Ray's dashboard, which takes 0.1 CPUs and 0.2 GB",
    )
    add("--results-dir", help=_help("where studies are kept", "results_dir"))
    add("--name", help="the study's folder in there (preset, data set and time)")
    add(
        "--publish",
        metavar="ADDRESS",
        help="keep a copy there, which --resume takes, e.g. s3://bucket/prefix (none)",
    )
    add(
        "--resume",
        metavar="NAME",
        help="go on with a study, or with one at ADDRESS/NAME; more --trials or --seeds extend it",
    )
    add("--accept-code-change", action="store_true", help="resume although the code has changed")
    add("--warm-start", metavar="RESULTS", help="learn from another study's trials first")
    add("--seeds", help=_help("re-trainings of each winner and baseline", "seeds"))
    add("--seed", help=_help("decides the split, the search and each trial", "seed"))
    add("--config", type=Path, metavar="FILE", help="YAML file with fields of Settings")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="any field of Settings")
    add("--dry-run", action="store_true", help="print the plan with its forecast and stop")
    add("--json", action="store_true", help="with --dry-run: print it as one JSON object")
    add("--debug", action="store_true", help="show tracebacks")
    return parser


def settings_of(options: argparse.Namespace, stored: Mapping[str, Any] | None = None) -> Settings:
    """The settings that parsed flags name.

    Args:
        options: The flags.
        stored: Settings of the study that is resumed.

    Raises:
        ValueError: A value is wrong.
    """
    given = _given(options)
    return resolve(given, config=options.config, assignments=options.set, stored=stored)


def results_dir_of(options: argparse.Namespace) -> str:
    """Where the study that the flags resume is kept.

    Raises:
        ValueError: The YAML file or an assignment is wrong.
    """
    return sources.results_dir_of(_given(options), config=options.config, assignments=options.set)


def check_together(options: argparse.Namespace) -> None:
    """Checks which flags stand together, and the name of a study to resume.

    Raises:
        ValueError: It is no name, or a flag contradicts another or lacks it.
    """
    if options.json and not options.dry_run:
        message = "--json must go with --dry-run, but that is missing"
        raise ValueError(message)
    name, warm_start = options.resume, options.warm_start
    if name is None:
        if options.accept_code_change:
            message = "--accept-code-change must go with --resume NAME, but that is missing"
            raise ValueError(message)
        return
    if "://" in name:
        name = _study_at(name)
    path = Path(name)
    if path.name != name or name in {"", ".."}:
        message = f"--resume must be the name of a study, not a path, but got {name!r}"
        if path.name not in {"", ".."}:
            place = "" if path.parent == Path() else f" --results-dir {path.parent}"
            message += f"; to resume it: --resume {path.name}{place}"
        raise ValueError(message)
    if warm_start is not None:
        message = (
            f"--warm-start must go with a new study, but got {warm_start!r} with --resume {name}; "
            "a resumed study goes on with what it has learned, so leave it out"
        )
        raise ValueError(message)
    if options.name not in {None, name}:
        message = (
            f"--name must be left out with --resume, or be the same, but got {options.name!r} with "
            f"--resume {name}"
        )
        raise ValueError(message)


def _study_at(address: str) -> str:
    """The name of the study that lies at an address.

    Raises:
        ValueError: It ends in none.
    """
    above, slash, name = address.partition("://")[2].rstrip("/").rpartition("/")
    if not (slash and above):
        message = f"--resume of an address must end in the study's name, but got {address!r}"
        raise ValueError(message)
    return name


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The flags; exits with code 2 and one line where they are wrong."""
    return make_parser().parse_args(arguments)


def _given(options: argparse.Namespace) -> dict[str, Any]:
    return {
        name: value
        for name, value in vars(options).items()
        if name in _DEFAULTS and value is not None
    }


def _help(text: str, name: str) -> str:
    default: Any = _DEFAULTS[name]
    return f"{text} ({default})"
