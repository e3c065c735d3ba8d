"""How often does reading a table fail that is replaced meanwhile, by path and from an open file?"""

import argparse
import os
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

SIZES = (3, 500, 7, 2000)  # rows of the tables that replace each other


def main() -> None:
    """Replaces a table without a pause, reads it in two ways, and counts what fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reads", type=int, default=1500, help="of each way")
    reads = parser.parse_args().reads
    path = Path(tempfile.mkdtemp()) / "table.parquet"
    tables = [pa.table({"number": range(n), "text": [str(i) * 7 for i in range(n)]}) for n in SIZES]
    done = threading.Event()

    def replace() -> None:
        for turn in range(10**9):
            temporary = path.with_name(f".table.{os.getpid()}")
            pq.write_table(tables[turn % len(tables)], temporary, compression="zstd")
            temporary.replace(path)
            if done.is_set():
                return

    pq.write_table(tables[0], path)
    writer = threading.Thread(target=replace)
    writer.start()
    by_path = sum(fails(lambda: pd.read_parquet(path)) for _ in range(reads))
    from_open_file = sum(fails(lambda: read_open(path)) for _ in range(reads))
    done.set()
    writer.join()
    print(f"pandas {pd.__version__}, pyarrow {pa.__version__}: of {reads} reads failed")
    print(f"by path: {by_path}; from an open file: {from_open_file}")


def read_open(path: Path) -> None:
    """Reads a table from one open file."""
    with path.open("rb") as file:
        pd.read_parquet(file)


def fails(read: Callable[[], object]) -> bool:
    """Whether a read raises."""
    try:
        read()
    except (OSError, pa.ArrowException):
        return True
    return False


if __name__ == "__main__":
    main()
