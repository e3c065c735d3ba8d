"""Files and archives fetched once into a cache, checked by hash, also if eight processes ask."""

import hashlib
import shutil
from pathlib import Path, PurePosixPath
from queue import Empty, SimpleQueue
from threading import Thread

import pooch
from filelock import FileLock

from trainables.data.offline import check_online

CONNECT_SECONDS = 5
ANSWER_SECONDS = 7  # name look-up, connection and first answer together
STALL_SECONDS = 60  # without a byte, in the middle of a download


def fetch_folder(*, url: str, sha256: str, folder: str, cache: Path) -> Path:
    """Returns `cache/folder`, downloading and unpacking the archive that has it if need be.

    Args:
        url: Where a tar archive is.
        sha256: Of the archive.
        folder: The folder at the top of the archive that is wanted.
        cache: Where it is kept. Its folder is renamed into place last: if it is there, it is whole.

    Raises:
        ValueError: If nobody answers within seconds, the archive is not the expected one, or
            the cache cannot be written.
    """
    wanted = cache / folder
    if wanted.is_dir():
        return wanted
    try:
        ask(url)  # before the lock, so that of several processes without network none waits long
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / "download.lock"):
            if not wanted.is_dir():
                _unpack(url, sha256, folder, cache)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{folder} is not in {cache}, and getting {url} (SHA-256 {sha256}) failed: {reason}"
        ) from error
    return wanted


def fetch_file(*, url: str, sha256: str, cache: Path) -> Path:
    """Returns the file in `cache` that an address names, downloading it if it is not there whole.

    Args:
        url: Where the file is; its last part is the file's name.
        sha256: Of the file, or its first digits where no more is known.
        cache: Where it is kept.

    Raises:
        ValueError: If nobody answers within seconds, the file is not the expected one, or
            the cache cannot be written.
    """
    wanted = cache / PurePosixPath(url).name
    if _has_hash(wanted, sha256):
        return wanted
    try:
        ask(url)
        cache.mkdir(parents=True, exist_ok=True)
        with FileLock(cache / f".{wanted.name}.lock"):
            if not _has_hash(wanted, sha256):
                _download(url, sha256, wanted)
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(
            f"{wanted} is not there, and getting {url} (SHA-256 {sha256}) failed: {reason}"
        ) from error
    return wanted


def _has_hash(path: Path, sha256: str) -> bool:
    return path.is_file() and _sha256(path).startswith(sha256)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(url: str, sha256: str, wanted: Path) -> None:
    """Gets a file under its name once it is whole; pooch knows whole hashes alone."""
    incoming = wanted.with_name(f".{wanted.name}.incoming")
    incoming.unlink(missing_ok=True)  # of a process that was killed
    pooch.retrieve(
        url,
        known_hash=None,
        fname=incoming.name,
        path=incoming.parent,
        downloader=pooch.HTTPDownloader(timeout=STALL_SECONDS),
    )
    found = _sha256(incoming)
    if not found.startswith(sha256):
        incoming.unlink()
        raise ValueError(f"the file that came has SHA-256 {found}")
    incoming.replace(wanted)


def ask(url: str) -> None:
    """Raises OSError unless an address answers; name look-ups have no time limit of their own."""
    check_online(url)
    answers: SimpleQueue[bool | OSError] = SimpleQueue()

    def ask() -> None:
        try:
            downloader = pooch.HTTPDownloader(timeout=CONNECT_SECONDS)
            answers.put(downloader(url, None, None, check_only=True))
        except OSError as error:
            answers.put(OSError(str(_root_cause(error))))

    Thread(target=ask, daemon=True).start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except Empty:
        answer = TimeoutError(f"no answer within {ANSWER_SECONDS} s")
    if isinstance(answer, OSError):
        raise answer
    if not answer:
        raise OSError("the server does not have it")


def _root_cause(error: BaseException) -> BaseException:
    # What requests says of a failed connection is three wrappings around one short sentence.
    return _root_cause(error.__context__) if error.__context__ else error


def _unpack(url: str, sha256: str, folder: str, cache: Path) -> None:
    incoming = cache / ".incoming"
    shutil.rmtree(incoming, ignore_errors=True)  # of a process that was killed
    pooch.retrieve(
        url,
        known_hash=f"sha256:{sha256}",
        fname="archive",
        path=incoming,
        downloader=pooch.HTTPDownloader(timeout=STALL_SECONDS),
        processor=pooch.Untar(extract_dir="unpacked"),
    )
    (incoming / "unpacked" / folder).rename(cache / folder)
    shutil.rmtree(incoming)
