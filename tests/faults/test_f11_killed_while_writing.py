"""F11: killed while a table is written, the old one is whole and the half-written one cleaned."""

from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from in_process import Driver, Killed, Moments

from orchestrator.results import schema as results
from orchestrator.verify.runner import verify

pytestmark = pytest.mark.usefixtures("curve_family")


@pytest.mark.parametrize("table", ["trials", "epochs", "rungs", "predictions", "final"])
def test_f11_the_old_table_is_whole_and_the_half_written_one_is_ignored_and_cleaned(
    table: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Driver(
        tmp_path, monkeypatch, {"trials": 3, "epochs": 2, "grace_period": 1, "seeds": 1}
    )
    driver.writes = 1.0
    written, moments = [0], Moments()

    def die_half_way(content: Any, path: Path, **options: Any) -> None:
        pq_write(content, path, **options)
        if f".{table}.parquet" in path.name:
            written[0] += 1
            if written[0] == 2:  # the first has no rows
                whole = path.read_bytes()
                path.write_bytes(whole[: len(whole) // 2])
                moments.dead = True
                raise Killed

    pq_write = pq.write_table
    with monkeypatch.context() as patch:
        patch.setattr(pq, "write_table", die_half_way)
        assert driver.start(moments) is None
    leftovers = [path.name for path in driver.folder.glob(f".{table}.parquet.*")]
    assert len(leftovers) == 1
    for name in results.TABLES:
        pd.read_parquet(driver.folder / f"{name}.parquet")  # each is whole
    assert driver.resume()
    assert verify(driver.folder, sources=False).problems == []
    assert [path.name for path in driver.folder.glob(".*") if ".parquet" in path.name] == []
