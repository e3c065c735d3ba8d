"""What a trial raised, in plain text: the driver can read it whatever it is able to import."""

import traceback
from pathlib import Path
from typing import Final

from trainables.checkpoints import NotKeptError, is_full
from trainables.secrets import redacted

LONGEST: Final = 300
MOST_READ: Final = 100_000
OWN_CODE: Final = __name__.rpartition(".")[0]
DISK_FULL: Final = "disk_full"
NOT_KEPT: Final = "not_kept"
"""No failures of a trial: they end the study, which goes on once the machine is mended."""
HOST_MEMORY: Final = ("can't allocate memory", "not enough memory")
DEVICE_MEMORY: Final = (
    "CUDA error: out of memory",
    "CUBLAS_STATUS_ALLOC_FAILED",
    "CUDNN_STATUS_ALLOC_FAILED",
)


class TrialError(RuntimeError):
    """An error of a trial's own code.

    Attributes:
        kind: `error`, `out_of_memory` (of its device), `host_out_of_memory`, `disk_full` or
            `not_kept`.
        message: Its type and the first line of what it says, without what is secret.
        place: File and line of the family's or the trainables' code that was reached last.
    """

    def __init__(self, kind: str, message: str, place: str) -> None:
        """Takes plain text, so that it can be pickled whatever was raised."""
        super().__init__(kind, message, place)
        self.kind, self.message, self.place = kind, message, place

    def __str__(self) -> str:
        """What happened, and where."""
        return f"{self.message} ({self.place})"


def described(error: BaseException) -> TrialError:
    """An error as text, with its kind and place."""
    if isinstance(error, TrialError):
        return error
    message = f"{type(error).__name__}: {_first_line(error)}"
    return TrialError(_kind(error, message), message, _place(error))


def _kind(error: BaseException, message: str) -> str:
    if is_full(error):
        return DISK_FULL
    if isinstance(error, NotKeptError):
        return NOT_KEPT
    if isinstance(error, MemoryError) or any(text in message for text in HOST_MEMORY):
        return "host_out_of_memory"
    # PyTorch's, of a device; by its name, since the driver need not import it.
    of_device = any(text in message for text in DEVICE_MEMORY)
    return "out_of_memory" if of_device or type(error).__name__ == "OutOfMemoryError" else "error"


def _place(error: BaseException) -> str:
    """The innermost line of our own code; of any code where none of ours was reached."""
    frames = list(traceback.walk_tb(error.__traceback__))
    own = [each for each in frames if _is_ours(str(each[0].f_globals.get("__name__")))]
    if not frames:
        return ""
    frame, line = (own or frames)[-1]
    return f"{Path(frame.f_code.co_filename).name}:{line}"


def _is_ours(module: str) -> bool:
    return f"{module}.".startswith(f"{OWN_CODE}.")


def _first_line(error: BaseException) -> str:
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 (it is somebody's own class, and may do anything)
        text = ""
    # A password that is cut is not known for one; what is no text in any encoding could be written
    # to no table.
    line = redacted(text[:MOST_READ]).strip().partition("\n")[0][:LONGEST]
    return line.encode("utf-8", "replace").decode("utf-8") or type(error).__name__
