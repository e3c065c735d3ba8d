"""What the tests on hosts share: they are skipped where hosts cannot be, and run alone."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock, Timeout
from hosts import why_not

HERE = Path(__file__).parent
REASON = why_not()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Gives each test the time that a busy machine takes, or says why it cannot run here."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(1800))
            if REASON and item.get_closest_marker("hosts"):
                item.add_marker(pytest.mark.skip(reason=REASON))


@pytest.fixture(scope="session")
def alone() -> Iterator[None]:
    """The bridge and its addresses are one for the whole machine."""
    lock = FileLock(Path(tempfile.gettempdir()) / "study-hosts.lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        pytest.skip("another run has the hosts")
    yield
    lock.release()
