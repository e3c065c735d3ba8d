"""A winner's model card: what it is, how it was trained, how good it is, and how to use it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from orchestrator.export.card_code import code_of, image_code
from orchestrator.results import schema
from orchestrator.results.foreign_text import code_markdown, escaped_markdown
from orchestrator.results.rows import ComparisonRow, FinalRow, models_of, tested
from orchestrator.results.study_record import Choice, StudyRecord
from trainables import registry
from trainables.data.dataset import DataSet
from trainables.family import Family
from trainables.weights.sources import DEMO, NOT_STATED, source_of


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a card is written from.

    Attributes:
        study: Whose winner it is.
        stamp: The metadata of `final.parquet`: hashes of data, split and weights.
        family: The winner's.
        dataset: The study's.
        config: The content of the exported `config.json`.
        final: The winner's row in `final.parquet`.
        seeds: The rows of the same model at all seeds.
        comparisons: The rows of `comparison.parquet`, empty where there is none.
    """

    study: StudyRecord
    stamp: Mapping[str, str]
    family: Family
    dataset: DataSet
    config: Mapping[str, Any]
    final: FinalRow
    seeds: Sequence[FinalRow]
    comparisons: Sequence[ComparisonRow]

    @property
    def chosen(self) -> Choice:
        """The winner."""
        assert self.study.choice is not None
        return self.study.choice[self.family.name]


def render(facts: Facts) -> str:
    """The card as Markdown with YAML before it, as the Hugging Face Hub reads it."""
    code = code_of(facts.family)
    title = f"# {facts.family.name} on {escaped_markdown(facts.study.settings.dataset)}"
    demo = [f"> **{escaped_markdown(note)}**" for note in facts.study.demo]
    sections: list[tuple[str, Iterable[str]]] = [
        ("How to use it", _use(facts, code)),
        ("How good it is", _results(facts)),
        ("How it was trained", _training(facts)),
        ("Provenance", _hashes(facts)),
        ("Limits", _limits(facts)),
        ("Licences", _licences(facts)),
    ]
    parts = [_front_matter(facts, code), title, *demo, _what_it_is(facts)]
    for heading, lines in sections:
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _front_matter(facts: Facts, code: str | None) -> str:
    matter = {
        "library_name": _library(code),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", facts.family.name, "hyperparameter-study"],
        "datasets": [facts.study.settings.dataset],
        "metrics": ["accuracy", "precision", "recall"],
    }
    return f"---\n{yaml.safe_dump(matter, sort_keys=False)}---"


def _library(code: str | None) -> str:
    """The library that makes the network, as Hugging Face calls it."""
    for name, sign in (("timm", "import timm\n"), ("torchvision", "torchvision")):
        if code and sign in code:
            return name
    return "pytorch"


def _what_it_is(facts: Facts) -> str:
    config, question = facts.config, registry.summary(facts.family.name)
    return (
        f"An image classifier of {len(config['classes'])} classes with {config['parameters']:,} "
        f"parameters, the winner of its family in the study {code_markdown(facts.study.name)}. "
        f"The family's question: {question}"
    )


def _use(facts: Facts, code: str | None) -> Iterator[str]:
    height, width, _ = facts.config["image_shape"]
    if code is None:
        yield (
            "This network can only be made by the project that trained it, transfer-study: its "
            f"family `{facts.family.name}` has no code that stands alone. There, "
            f"`trainables.registry.load_family({facts.family.name!r}).build(...)` with the "
            "parameters in `config.json` makes it, and `model.safetensors` has its weights."
        )
        return
    versions = facts.study.environment
    library = _library(code)
    needed = ["torch", *([library] if library != "pytorch" else []), "numpy"]
    shown = {name: escaped_markdown(versions[name]) for name in needed}
    listed = ", ".join(f"{name} ({version} in the study)" for name, version in shown.items())
    yield f"Needs {listed} and safetensors, nothing else. `predict` takes RGB images of"
    own = facts.dataset.survey is not None
    how = "to which they were scaled and cropped" if own else "as they are in the data set"
    yield f"{width}x{height} pixels, {how}.\n"
    yield f"```python\n{code}```\n"
    yield "For an image in a file, with Pillow, prepared as in training:\n"
    yield f"```python\n{image_code(facts.dataset, width)}"
    yield "(probabilities,) = predict(image[None])"
    yield "print(classes[probabilities.argmax()], probabilities.max())\n```"


def _results(facts: Facts) -> Iterator[str]:
    final, count = facts.final, len(facts.seeds)
    yield f"On {final['test_images']:,} test images, which the choice of the model has not seen:\n"
    yield from _table(
        ("test metric", "this model", f"mean of {count} seed(s)", "standard deviation"),
        [
            (metric, f"{tested(final)[f'test_{metric}']:.4f}", *_spread(facts.seeds, metric))
            for metric in schema.METRICS
        ],
    )
    yield "\nLoss is the mean cross-entropy in nats; precision and recall are macro averages."
    rows = [_against(row, facts) for row in facts.comparisons if _is_mean_of(row, facts)]
    if rows:
        yield "\nIts mean over the seeds minus another model's, on the same test images:\n"
        names = ("minus", "metric", "difference", "95% interval", "test images", "seeds")
        yield from _table(names, rows)
    yield (
        f"\nOn the {final['validation_images']:,} validation images by which its epoch and its "
        f"hyperparameters were chosen: accuracy {final['validation_accuracy']:.4f}, "
        f"loss {final['validation_loss']:.4f}."
    )


def _spread(rows: Sequence[FinalRow], metric: str) -> tuple[str, str]:
    values = [tested(row)[f"test_{metric}"] for row in rows]
    deviation = f"{np.std(values, ddof=1):.4f}" if len(values) > 1 else "one seed has none"
    return f"{np.mean(values):.4f}", deviation


def _is_mean_of(row: ComparisonRow, facts: Facts) -> bool:
    """Whether a row compares this model, all seeds, at its share of the training images."""
    name = facts.family.name
    pair = {*models_of(row)}
    same_fraction = row["train_fraction"] == facts.final["train_fraction"]
    itself = {(name, "tuned"), (name, "baseline")} if facts.chosen.baseline_won else None
    return (name, "tuned") in pair and pair != itself and row["seed"] is None and same_fraction


def _against(row: ComparisonRow, facts: Facts) -> tuple[str, ...]:
    """The cells of a comparison, turned so that the difference is this model's minus the other."""
    a, b = models_of(row)
    first = a == (facts.family.name, "tuned")
    values = [row["difference"], row["ci_low"], row["ci_high"]]
    if not first:
        values = [None if value is None else 0 - value for value in (values[0], *values[:0:-1])]
    difference, low, high = ("-" if value is None else f"{value:+.4f}" for value in values)
    return (
        escaped_markdown(" ".join(b if first else a)),
        escaped_markdown(row["metric"]),
        difference,
        f"{low} to {high}",
        f"{row['n_images']:,}",
        str(row["n_seeds"]),
    )


def _training(facts: Facts) -> Iterator[str]:
    final, settings, chosen = facts.final, facts.study.settings, facts.chosen
    trials = facts.study.closed.get(facts.family.name, settings).trials
    won = "the baseline itself, which nothing beat" if chosen.baseline_won else "found by search"
    yield (
        f"Of {trials} trials, scheduled by ASHA, `{chosen.trial_id}` had the best "
        f"validation accuracy: {won}. With its hyperparameters the network was trained anew, for "
        f"{final['last_epoch']} epochs on {final['train_images']:,} images, {settings.seeds} "
        f"seed(s); this is seed {final['seed']}, the best on validation, at its best epoch, "
        f"{final['epoch']}. Trained on {escaped_markdown(final['device'])}.\n"
    )
    params = facts.config["params"]
    yield from _table(
        ("hyperparameter", "value"),
        [(escaped_markdown(n), escaped_markdown(str(v))) for n, v in params.items()],
    )


def _hashes(facts: Facts) -> Iterator[str]:
    study, stamp = facts.study, facts.stamp
    rows = [
        ("this model's `model.safetensors`", facts.config["weights_sha256"]),
        (f"data files of {facts.dataset.name}", stamp["data_sha256"]),
        ("split into training and validation", stamp["split_sha256"]),
        ("code", study.code_sha256),
    ]
    if facts.family.pretrained:
        weights = study.weights_of(facts.family.name)
        rows.append((f"pre-trained weights {code_markdown(weights.name)}", weights.sha256))
    rows = [(what, escaped_markdown(str(digest))) for what, digest in rows]
    yield from _table(("what", "SHA-256"), rows)
    versions = ", ".join(f"{name} {version}" for name, version in study.environment.items())
    commit = f"Commit {study.git_commit}; " if study.git_commit else ""
    yield f"\n{escaped_markdown(f'{commit}{versions}.')}"


def _limits(facts: Facts) -> Iterator[str]:
    height, width, _ = facts.config["image_shape"]
    classes = facts.config["classes"]
    names = ", ".join(map(escaped_markdown, classes))
    yield f"- It knows its {len(classes)} classes and always names one of them: {names}."
    yield (
        f"- Trained and tested on images of {width}x{height} pixels from one data set; how good "
        "it is on others was not measured."
    )
    for note in facts.study.dataset.notes:
        yield f"- {escaped_markdown(note)}"
    yield "- Its probabilities are those of the softmax and were not calibrated."
    if len(facts.seeds) == 1:
        yield "- One seed: how much chance there is in its training was not measured."
    openings = facts.study.test_openings
    if openings > 1:
        yield f"- The test images were opened {openings} times, for different choices of models."


def _licences(facts: Facts) -> Iterator[str]:
    yield f"- Data, {facts.dataset.name}: {facts.dataset.licence or NOT_STATED}."
    if facts.family.pretrained:
        weights = facts.study.weights_of(facts.family.name)
        source = source_of(weights, demo=facts.study.settings.weights == DEMO)
        said = f"{source.origin}; trained on: {source.trained_on}; licence: {source.licence}."
        name = code_markdown(weights.name)
        yield f"- Pre-trained weights, {name}: {escaped_markdown(said)}"
    yield "- The project's code, of which parts stand above: MIT."


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (names, ["---"] * len(names), *rows):
        yield f"| {' | '.join(cells)} |"
