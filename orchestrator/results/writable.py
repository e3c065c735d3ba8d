"""Whether a folder can be made and written, found out before anything is started."""

import tempfile
from pathlib import Path


def check_writable(folder: Path) -> None:
    """Refuses a folder that cannot be made or written; it need not exist, and leaves no trace.

    What is going to be done is tried out in a place of its own, beside what exists of the folder:
    another study may be making the same folders at this moment.

    Args:
        folder: Absolute.

    Raises:
        ValueError: It cannot be made or written.
    """
    try:
        existing = next(path for path in (folder, *folder.parents) if path.exists())
        with tempfile.TemporaryDirectory(prefix=".writable-", dir=existing) as trial:
            inside = Path(trial) / folder.relative_to(existing)
            inside.mkdir(parents=True, exist_ok=True)
            (inside / "file").write_bytes(b"x")
    except OSError as error:
        message = f"the folder must be writable, but {folder} is not: {error.strerror or error}"
        raise ValueError(message) from error
