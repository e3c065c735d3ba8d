"""The optional packages of this project: what commands need that reading does not."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Final

from orchestrator.called import CONSOLE_COMMAND, IS_INSTALLED

MODULES: Final[Mapping[str, tuple[str, ...]]] = {
    "figures": ("matplotlib", "PIL"),
    "run": ("PIL", "pooch", "ray", "safetensors", "sklearn", "torch", "torchvision"),
    "onnx": ("onnx", "onnxruntime", "onnxscript"),
    "s3": ("s3fs",),
    **{name: (name,) for name in ("timm", "mlflow", "tensorboard", "trackio", "wandb")},
}
"""Each extra of pyproject.toml that code imports, and the modules that it brings."""


class MissingExtraError(ValueError):
    """Packages of an extra are not installed."""

    def __init__(self, extra: str, missing: tuple[str, ...]) -> None:
        """Says which, and the command that installs them."""
        are = "is" if len(missing) == 1 else "are"
        super().__init__(
            f"this needs {', '.join(missing)}, which {are} not installed: {install(extra)}"
        )


def install(extra: str) -> str:
    """The command that installs an extra, or several separated by commas."""
    what = f"{CONSOLE_COMMAND}[{extra}]" if IS_INSTALLED else f".[{extra}]"
    return f"pip install {'' if IS_INSTALLED else '-e '}'{what}'"


def check_installed(extra: str) -> None:
    """Checks that all packages of an extra are there; none is imported.

    Raises:
        MissingExtraError: Some are not.
    """
    missing = tuple(name for name in MODULES[extra] if not is_installed(name))
    if missing:
        raise MissingExtraError(extra, missing)


def is_installed(module: str) -> bool:
    """Whether a module can be imported; it is not."""
    return find_spec(module) is not None


def explained(error: ModuleNotFoundError) -> MissingExtraError | None:
    """What to say of a module that was not found; None where no extra brings it."""
    module = str(error.name).partition(".")[0]
    found = [extra for extra, modules in MODULES.items() if module in modules]
    return MissingExtraError(found[0], (module,)) if found else None
