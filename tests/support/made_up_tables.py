"""Tables of images, made up and small, laid out as `datasets` and people lay them out."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

CLASSES = ("red", "green", "blue")
COUNTS = {"train": 24, "validation": 6, "test": 9}
IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def picture(number: int, label: int, edge: int = 12) -> bytes:
    """A PNG of noise in the colour of its class; each number gives another one."""
    random = np.random.default_rng(number)
    pixels = random.integers(0, 100, (edge, edge + 3, 3), dtype=np.uint8)
    pixels[..., label] += 120
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def metadata(features: Mapping[str, Any]) -> dict[bytes, bytes]:
    """What `datasets` writes beside the columns."""
    return {b"huggingface": json.dumps({"info": {"features": features}}).encode()}


def published(start: int, count: int, **more: Sequence[Any]) -> pa.Table:
    """Rows as `Dataset.to_parquet` and `save_to_disk` write them."""
    labels = [i % len(CLASSES) for i in range(count)]
    images = [{"bytes": picture(start + i, label), "path": None} for i, label in enumerate(labels)]
    features = {"image": {"_type": "Image"}, "labels": {"names": CLASSES, "_type": "ClassLabel"}}
    columns = {"image": pa.array(images, IMAGE), "labels": pa.array(labels, pa.int64())}
    table = pa.table({**columns, **{name: pa.array(each) for name, each in more.items()}})
    return table.replace_schema_metadata(metadata(features))


def parquet_folder(base: Path, counts: Mapping[str, int] = COUNTS, **more: Any) -> Path:
    """`data/train-00000-of-00002.parquet` ..., as Hugging Face has them; the first of two files."""
    (base / "data").mkdir(parents=True)
    for start, (part, count) in enumerate(counts.items()):
        halves = (count // 2, count - count // 2)
        for shard, some in enumerate(halves):
            table = published(1000 * start + 500 * shard, some, **more)
            path = base / "data" / f"{part}-{shard:05}-of-00002.parquet"
            pq.write_table(table, path, row_group_size=5)
    return base


def saved_folder(base: Path, counts: Mapping[str, int] = COUNTS) -> Path:
    """What `DatasetDict.save_to_disk` writes."""
    for start, (part, count) in enumerate(counts.items()):
        (base / part).mkdir(parents=True)
        table = published(1000 * start, count)
        name = "data-00000-of-00001.arrow"
        with pa.ipc.new_stream(base / part / name, table.schema) as writer:
            writer.write_table(table, max_chunksize=4)
        state = {"_data_files": [{"filename": name}], "_split": part}
        (base / part / "state.json").write_text(json.dumps(state))
        (base / part / "dataset_info.json").write_text("{}")
    (base / "dataset_dict.json").write_text(json.dumps({"splits": [*counts]}))
    return base


def write_images(base: Path, count: int) -> list[dict[str, str]]:
    """Image files in no folder of a class, and a row for each: its path and its label."""
    (base / "images").mkdir(parents=True)
    rows = []
    for i in range(count):
        name = f"images/bild {i:03} ü.png"
        (base / name).write_bytes(picture(i, i % len(CLASSES)))
        rows.append({"file": name, "species": CLASSES[i % len(CLASSES)]})
    return rows


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path
