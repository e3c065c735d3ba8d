"""A published study: files named by their content, and one manifest that says which count.

`<address>/<study>/manifest.json` names each file of the study at one moment, with its size and
SHA-256; the file is stored in `objects/` beside it, named by that hash. Files come first and the
manifest last, so whoever reads what it names has the study of one moment.
"""

import contextlib
import hashlib
import time
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Final

import fsspec
from fsspec.implementations.local import LocalFileSystem
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from orchestrator.extras import check_installed
from orchestrator.results import files
from orchestrator.results.study_record import StudyRecord
from trainables.secrets import check_complete

MANIFEST: Final = "manifest.json"
OBJECTS: Final = "objects"
STAGING: Final = ".publishing"
"""In a study's folder: what is being sent, under further names."""
# What is said half by a file system that does not replace a file at once is asked for again.
READS: Final = 3
READ_SECONDS: Final = 0.5


def _inside(name: str) -> str:
    parts = name.split("/")
    if any(not part or part.startswith(".") or "\\" in part for part in parts):
        raise ValueError(f"it must be a path inside a study's folder, but is {name[:200]!r}")
    return name


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)


class Run(_Part):
    """A driver's run of a study, as `study.json` names it."""

    started_at: str
    host: str = ""
    pid: int = 0


class PublishedFile(_Part):
    """A file of a study: its size, its SHA-256, and when it was written, since the epoch."""

    bytes: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    modified: float


class Snapshot(_Part):
    """Manifest of a published study: its files at one moment.

    Attributes:
        published_at: Seconds since the epoch.
        runs: Its drivers' runs so far; the last one has published it.
        files: Path in the study's folder to what is stored there.
    """

    study: str
    published_at: float
    runs: Annotated[tuple[Run, ...], Field(min_length=1)]
    files: dict[Annotated[str, AfterValidator(_inside)], PublishedFile]

    @property
    def who(self) -> str:
        """Text that says who has published it, and when."""
        at = datetime.fromtimestamp(self.published_at, UTC).isoformat(timespec="seconds")
        return f"process {self.runs[-1].pid} on {self.runs[-1].host}, last at {at}"

    def objects(self) -> set[str]:
        """The names of the objects that it needs."""
        return {object_name(name, file) for name, file in self.files.items()}


def object_name(name: str, file: PublishedFile) -> str:
    """The name that a file's content is stored under; it keeps the ending, for whoever opens it."""
    return f"{file.sha256}{PurePosixPath(name).suffix}"


def runs_of(study: StudyRecord) -> tuple[Run, ...]:
    """The runs of a study's drivers."""
    return tuple(Run(started_at=run.started_at, host=run.host, pid=run.pid) for run in study.runs)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Address at which a study is stored, or will be, as it was said: with a password, maybe.

    The file system is fsspec's, the path that of the study there.
    """

    filesystem: Any
    path: str
    address: str

    @property
    def name(self) -> str:
        """Name of the study."""
        return PurePosixPath(self.path).name

    def snapshot(self) -> Snapshot | None:
        """What is stored there; None for nothing.

        Raises:
            ValueError: It cannot be read, or is no manifest.
        """
        for left in reversed(range(READS)):
            with _saying(f"cannot read {self.address}"):
                try:
                    content = self.filesystem.cat_file(f"{self.path}/{MANIFEST}")
                except FileNotFoundError:
                    return None
            try:
                return Snapshot.model_validate_json(content)
            except ValidationError as error:
                first = error.errors()[0]
                if first["type"] != "json_invalid" or not left:
                    where = ".".join(map(str, first["loc"])) or "all of it"
                    raise ValueError(
                        f"{MANIFEST} must be as a study publishes it, but in {self.address} of "
                        f"{where} is said: {first['msg']}"
                    ) from error
            time.sleep(READ_SECONDS)
        raise AssertionError

    def write(self, snapshot: Snapshot) -> None:
        """Replaces the manifest: at once in a local folder and wherever a file is put whole."""
        content = snapshot.model_dump_json().encode()
        local = isinstance(self.filesystem, LocalFileSystem)
        target, temporary = f"{self.path}/{MANIFEST}", f"{self.path}/.{MANIFEST}"
        self.filesystem.pipe_file(temporary if local else target, content)
        if local:
            self.filesystem.mv(temporary, target)

    def sizes(self) -> dict[str, int]:
        """The stored objects, with their bytes."""
        self.filesystem.invalidate_cache()
        found = self.filesystem.find(f"{self.path}/{OBJECTS}", detail=True)
        return {PurePosixPath(path).name: about["size"] for path, about in found.items()}

    def send(self, source: Path, name: str) -> None:
        """Uploads an object."""
        self.filesystem.put_file(str(source), self._object(name))

    def get(self, name: str, file: PublishedFile, target: Path) -> None:
        """Downloads an object, whole.

        Raises:
            FileNotFoundError: It is no longer stored there.
            ValueError: It cannot be read, or is not what the manifest says.
        """
        with files.whole(target) as temporary:
            with _saying(f"cannot read {self.address}", but=FileNotFoundError):
                self.filesystem.get_file(self._object(name), str(temporary))
            found = described(temporary)
            if (found.bytes, found.sha256) != (file.bytes, file.sha256):
                raise ValueError(
                    f"{name} in {self.address} must have SHA-256 {file.sha256} in {file.bytes} "
                    f"bytes, but has {found.sha256} in {found.bytes}"
                )

    def remove(self, names: Iterable[str]) -> None:
        """Removes objects."""
        if paths := [self._object(name) for name in names]:
            self.filesystem.rm(paths)

    def check_writable(self) -> None:
        """Checks that the address is writable; makes the study's folder where there are folders.

        Raises:
            ValueError: It cannot be written, or what would hold it (a bucket) does not exist.
        """
        with _saying(f"publish must name what can be written, but {self.address} cannot"):
            holder = self.path.split("/", 1)[0] or "/"
            if not self.filesystem.exists(holder):
                raise ValueError(f"there is no {holder}")
            self.filesystem.makedirs(f"{self.path}/{OBJECTS}", exist_ok=True)
            probe = f"{self.path}/.probe-{uuid.uuid4().hex}"
            self.filesystem.pipe_file(probe, b"x")
            self.filesystem.rm(probe)

    def _object(self, name: str) -> str:
        return f"{self.path}/{OBJECTS}/{name}"


def place_of(address: str, *, flag: str) -> Place:
    """Finds a study's place; nothing need be there yet.

    Raises:
        ValueError: Its protocol is unknown or needs a package that is missing, or its password was
            not kept.
    """
    check_complete(address, flag)
    if address.startswith("s3://"):
        check_installed("s3")
    with _saying(f"cannot open {address}"):
        filesystem, path = fsspec.url_to_fs(address)
    return Place(filesystem=filesystem, path=path.rstrip("/"), address=address.rstrip("/"))


def check_place(publish: str, folder: Path, study: StudyRecord | None) -> None:
    """Checks that a study may be published at an address, before anything is started.

    Raises:
        ValueError: It is the study's own folder, or cannot be written; or another study is stored
            there, or the same one, which another head has resumed.
    """
    place = place_of(f"{publish.rstrip('/')}/{folder.name}", flag="--publish")
    if isinstance(place.filesystem, LocalFileSystem) and Path(place.path).resolve() == folder:
        raise ValueError(f"--publish must lead elsewhere than --results-dir, but got {publish}")
    place.check_writable()
    there = place.snapshot()
    if there is None:
        return
    if study is None or there.runs[0] != runs_of(study)[0]:
        raise ValueError(
            f"--publish must lead where no other study of this name lies, but {place.address} has "
            f"one (of {there.who}); choose another --name or address, or go on with that one: "
            f"--resume {place.address}"
        )
    if not goes_on(there.runs, runs_of(study)):
        raise ValueError(
            f"a study must be published by whoever goes on with it, but {there.who} has gone on "
            f"with what is at {place.address}; resume that, in another --results-dir: --resume "
            f"{place.address}"
        )


def goes_on(earlier: tuple[Run, ...], later: tuple[Run, ...]) -> bool:
    """Whether a study with these runs continues one with fewer, or the same."""
    return later[: len(earlier)] == earlier


def described(path: Path) -> PublishedFile:
    """Manifest entry of a file."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = path.stat()
    return PublishedFile(bytes=about.st_size, sha256=digest, modified=about.st_mtime)


@contextlib.contextmanager
def _saying(what: str, *, but: type[Exception] | tuple[()] = ()) -> Iterator[None]:
    """Whatever goes wrong inside is a ValueError of one line, but errors of a kind."""
    # Each file system behind fsspec has exceptions of its own, with no common base.
    try:
        yield
    except but:
        raise
    except Exception as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"{what}: {reason}") from error
