"""Predictions in the files that frameworks write are read, and all say the same."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run
from made_up_predictions import CLASSES, MadeUpPredictions
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from orchestrator.predict.predictor import PROBABILITY_OF

OLD, NEW = MadeUpPredictions(skill=0.7), MadeUpPredictions(skill=0.9, seed=1)
Writer = Callable[[Path], list[str]]


def _arrow(frame: pd.DataFrame, path: Path) -> None:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def csv(path: Path) -> list[str]:
    """pandas, with an index."""
    NEW.frame().to_csv(path / "new.csv")
    return ["new.csv"]


def semicolons(path: Path) -> list[str]:
    """A spreadsheet's CSV, with a byte order mark."""
    NEW.frame().to_csv(path / "new.csv", sep=";", index=False, encoding="utf-8-sig")
    return ["new.csv"]


def parquet_of_lists(path: Path) -> list[str]:
    frame = pd.DataFrame(
        {
            "file": NEW.names,
            "target": NEW.named(NEW.labels),
            "probabilities": list(NEW.probabilities),
        }
    )
    frame.to_parquet(path / "new.parquet")
    return ["new.parquet", "--classes", ",".join(CLASSES)]


def numpy_arrays(path: Path) -> list[str]:
    np.savez(
        path / "new.npz",
        labels=NEW.named(NEW.labels),
        probabilities=NEW.probabilities,
        image=NEW.names,
        classes=CLASSES,
    )
    return ["new.npz"]


def keras_array(path: Path) -> list[str]:
    """`numpy.save` of what `model.predict` gives, in the order of the labels."""
    np.save(path / "new.npy", NEW.probabilities.astype(np.float32))
    return ["new.npy", "--labels", "labels.csv", "--classes", ",".join(CLASSES)]


def keras_text(path: Path) -> list[str]:
    """`numpy.savetxt` of it, which has no names."""
    np.savetxt(path / "new.csv", NEW.probabilities, delimiter=",")
    return ["new.csv", "--labels", "labels.csv", "--classes", ",".join(CLASSES)]


def trainer_logits(path: Path) -> list[str]:
    """A table of logits with the file names beside."""
    frame = pd.DataFrame({"image": NEW.names, "logits": list(NEW.logits)})
    frame.to_parquet(path / "new.parquet")
    return ["new.parquet", "--labels", "labels.csv", "--classes", ",".join(CLASSES)]


def saved_dataset(path: Path) -> list[str]:
    """What `datasets.Dataset.save_to_disk` writes."""
    (path / "new").mkdir()
    (path / "new" / "state.json").write_text("{}")
    frame = pd.DataFrame(
        {"image": NEW.names, "label": NEW.named(NEW.labels), "probs": list(NEW.probabilities)}
    )
    _arrow(frame.head(50), path / "new" / "data-00000-of-00002.arrow")
    _arrow(frame.tail(-50), path / "new" / "data-00001-of-00002.arrow")
    return ["new", "--classes", ",".join(CLASSES)]


def autogluon(path: Path) -> list[str]:
    """`predict_proba`: a column a class, images as index."""
    frame = pd.DataFrame(NEW.probabilities, columns=CLASSES, index=NEW.names)
    frame.to_csv(path / "new.csv")
    return ["new.csv", "--labels", "labels.csv"]


def autogluon_parquet(path: Path) -> list[str]:
    frame = pd.DataFrame(NEW.probabilities, columns=CLASSES, index=NEW.names)
    frame.to_parquet(path / "new.parquet")
    return ["new.parquet", "--labels", "labels.csv"]


def timm_probabilities(path: Path) -> list[str]:
    """Timm's `inference.py --topk 0`: arrays as texts over several lines."""
    arrays = [str(row) for row in NEW.probabilities.astype(np.float32)]
    pd.DataFrame({"filename": NEW.names, "prob": arrays}).to_csv(path / "new.csv", index=False)
    return ["new.csv", "--labels", "labels.csv", "--classes", ",".join(CLASSES)]


def mlflow_table(path: Path) -> list[str]:
    """The artefact of an evaluation, and of `mlflow.log_table`."""
    frame = pd.DataFrame(
        {"image": NEW.names, "kind": NEW.named(NEW.labels), "outputs": NEW.named(NEW.predicted)}
    )
    content = frame.to_dict(orient="split", index=False)
    (path / "new.json").write_text(json.dumps(content))
    return ["new.json", "--columns", "label=kind"]


def lines_of_json(path: Path) -> list[str]:
    NEW.frame().to_json(path / "new.jsonl", orient="records", lines=True)
    return ["new.jsonl"]


def timm_json(path: Path) -> list[str]:
    """Timm's `--results-format json`: file to its columns."""
    frame = pd.DataFrame({"filename": NEW.names, "prob": list(NEW.probabilities)})
    frame.set_index("filename").to_json(path / "new.json", orient="index")
    return ["new.json", "--labels", "labels.csv", "--classes", ",".join(CLASSES)]


def our_predict(path: Path) -> list[str]:
    """What `predict --output` writes."""
    each = {PROBABILITY_OF.format(name): NEW.probabilities[:, i] for i, name in enumerate(CLASSES)}
    found = {"file": NEW.names, "class": NEW.named(NEW.predicted)}
    found |= {"probability": NEW.probabilities.max(axis=1), **each, "error": None}
    pd.DataFrame(found).to_csv(path / "new.csv", index=False)
    return ["new.csv", "--labels", "labels.csv"]


WRITERS: tuple[Writer, ...] = (
    *(csv, semicolons, parquet_of_lists, numpy_arrays, keras_array, keras_text, trainer_logits),
    *(saved_dataset, autogluon, autogluon_parquet, timm_probabilities, mlflow_table),
    *(lines_of_json, timm_json, our_predict),
)


@pytest.mark.parametrize("write", WRITERS, ids=lambda write: write.__name__)
def test_a_file_is_read_for_what_it_says(write: Writer, place: Path, verdict: Run) -> None:
    OLD.write(place / "old.csv")
    labels = pd.DataFrame({"image": NEW.names, "label": NEW.named(NEW.labels)})
    labels.to_csv(place / "labels.csv", index=False)
    found = verdict("old.csv", *write(place), "--baseline", "old")
    (claim,) = found["claims"]
    gained = (NEW.predicted == NEW.labels).mean() - (OLD.predicted == OLD.labels).mean()
    assert claim["candidate"] == "new"
    assert claim["difference"] == pytest.approx(gained, abs=1e-12)
    losses = [row for row in found["pairs"] if row["metric"] == "loss" and row["seed"] is None]
    if write is not mlflow_table:
        of_label = NEW.labels[:, None] == np.arange(len(CLASSES))
        wanted = (
            -np.log(OLD.probabilities[of_label]).mean() + np.log(NEW.probabilities[of_label]).mean()
        )
        assert losses[0]["difference"] == pytest.approx(wanted, abs=1e-5)
    else:
        assert losses == []
        assert any("no loss" in line for line in found["warnings"])


def test_the_output_of_a_trainer_is_taken_for_logits(place: Path, verdict: Run) -> None:
    for made, name in ((OLD, "old"), (NEW, "new")):
        np.savez(place / f"{name}.npz", predictions=made.logits, label_ids=made.labels)
    found = verdict("old.npz", "new.npz")
    assert found["claims"][0]["difference"] < 0
    assert sum("softmax" in line for line in found["warnings"]) == 2
    assert any("matched by their order" in line for line in found["warnings"])


def test_arrays_of_a_file_that_are_of_no_image_change_nothing(place: Path, verdict: Run) -> None:
    for name, model in (("old", OLD), ("new", NEW)):
        arrays = {"probabilities": model.probabilities, "labels": model.named(model.labels)}
        np.savez(place / f"{name}.npz", class_names=CLASSES, **arrays, losses=np.ones(2))
        model.write(place / f"{name}.csv")
    found = verdict("new.npz", "old.npz")
    assert found["images"] == NEW.images
    (claim,) = found["claims"]
    assert claim == verdict("new.csv", "old.csv")["claims"][0]


def test_the_best_class_of_timm_is_what_was_predicted(place: Path, verdict: Run) -> None:
    labels = pd.DataFrame({"image": NEW.names, "label": NEW.labels})
    labels.to_csv(place / "labels.csv", index=False)
    best = NEW.probabilities.max(axis=1)
    table = pd.DataFrame({"filename": NEW.names, "index": NEW.predicted, "prob": best})
    table.to_csv(place / "new.csv", index=False)
    two = np.argsort(-OLD.probabilities, axis=1)[:, :2]
    of_two = np.take_along_axis(OLD.probabilities, two, axis=1)
    separate = {f"index_{i}": two[:, i] for i in (0, 1)} | {
        f"prob_{i}": of_two[:, i] for i in (0, 1)
    }
    pd.DataFrame({"filename": NEW.names, **separate}).to_csv(place / "old.csv", index=False)
    (claim,) = verdict("new.csv", "old.csv", "--labels", "labels.csv")["claims"]
    gained = (NEW.predicted == NEW.labels).mean() - (OLD.predicted == OLD.labels).mean()
    assert claim["difference"] == pytest.approx(gained)


def test_models_of_scikit_learn_are_compared_by_classes_alone(place: Path, verdict: Run) -> None:
    iris = load_iris()
    for model in (LogisticRegression(max_iter=500), GaussianNB()):
        predicted = model.fit(iris.data[::2], iris.target[::2]).predict(iris.data[1::2])
        frame = pd.DataFrame({"y_true": iris.target[1::2], "y_pred": predicted})
        frame.to_csv(place / f"{type(model).__name__}.csv", index=False)
    found = verdict("LogisticRegression.csv", "GaussianNB.csv")
    assert found["images"] == 75
    assert found["classes"] == ["0", "1", "2"]


def test_one_output_of_a_sigmoid_is_that_of_the_second_class(place: Path, verdict: Run) -> None:
    labels = np.arange(40) % 2
    sure = np.where(labels, 0.9, 0.2)[:, None]
    np.savez(place / "right.npz", labels=labels, predictions=sure)
    np.savez(place / "wrong.npz", labels=labels, predictions=1 - sure)
    (claim,) = verdict("right.npz", "wrong.npz")["claims"]
    assert claim["difference"] == 1


def test_models_and_seeds_are_columns_or_names_of_files(place: Path, verdict: Run) -> None:
    parts = [
        MadeUpPredictions(skill=skill, seed=seed).frame().assign(model=name, seed=seed)
        for name, skill in (("old", 0.7), ("new", 0.9))
        for seed in range(3)
    ]
    pd.concat(parts).to_csv(place / "all.csv", index=False)
    for seed in range(3):
        MadeUpPredictions(skill=0.9, seed=seed).write(place / f"new-seed{seed}.csv")
        MadeUpPredictions(skill=0.7, seed=seed).write(place / f"run{seed}.csv")
    one = verdict("all.csv", "--baseline", "old")
    files = (f"old=run{seed}.csv" for seed in range(3))
    other = verdict(*(f"new-seed{seed}.csv" for seed in range(3)), *files, "--baseline", "old")
    assert one["models"] == {"old": [0, 1, 2], "new": [0, 1, 2]}
    assert one["claims"] == other["claims"]
    assert any("its trainings in their order" in line for line in other["warnings"])


def test_the_order_of_rows_and_of_classes_does_not_matter(place: Path, verdict: Run) -> None:
    OLD.write(place / "old.csv")
    NEW.write(place / "new.csv")
    columns = NEW.frame().columns
    shuffled = NEW.frame().sample(frac=1, random_state=0)[[*columns[::-1]]]
    shuffled.to_csv(place / "shuffled.csv", index=False)
    as_it_is = verdict("old.csv", "m=new.csv")
    assert as_it_is["pairs"] == verdict("old.csv", "m=shuffled.csv")["pairs"]


def test_names_such_as_007_and_none_stay_as_they_are(place: Path, verdict: Run) -> None:
    text = "id,label,pred\n007,NA,NA\n7,null_,NA\n08,NA,null_\n8,null_,null_\n"
    (place / "a.csv").write_text(text)
    (place / "b.csv").write_text(text)
    found = verdict("a.csv", "b.csv")
    assert found["images"] == 4
    assert found["classes"] == ["NA", "null_"]
