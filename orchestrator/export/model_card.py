"""A winner's model card: what it is, how it was trained, how good it is, and how to use it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import yaml

from orchestrator.analysis.pairwise import swapped
from orchestrator.cli import counted
from orchestrator.export.card_code import code_of, image_code
from orchestrator.results import schema
from orchestrator.results.foreign_text import code_markdown, escaped_markdown
from orchestrator.results.rows import ComparisonRow, FinalRow, models_of, tested
from trainables import registry
from trainables.weights.sources import DEMO, NOT_STATED, source_of

if TYPE_CHECKING:
    from orchestrator.export.winners import Winner


def render(winner: "Winner") -> str:
    """The card as Markdown with YAML before it, as the Hugging Face Hub reads it."""
    code = code_of(winner.family)
    title = f"# {winner.family.name} on {escaped_markdown(winner.study.settings.dataset)}"
    demo = [f"> **{escaped_markdown(note)}**" for note in winner.study.demo]
    sections = {
        "How to use it": _use(winner, code),
        "How good it is": _results(winner),
        "How it was trained": _training(winner),
        "Provenance": _hashes(winner),
        "Limits": _limits(winner),
        "Licences": _licences(winner),
    }
    parts = [_front_matter(winner, code), title, *demo, _what_it_is(winner)]
    for heading, lines in sections.items():
        parts += [f"## {heading}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _front_matter(winner: "Winner", code: str | None) -> str:
    matter = {
        "library_name": _library(code),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", winner.family.name, "hyperparameter-study"],
        "datasets": [winner.study.settings.dataset],
        "metrics": ["accuracy", "precision", "recall"],
    }
    return f"---\n{yaml.safe_dump(matter, sort_keys=False)}---"


def _library(code: str | None) -> str:
    """The library that makes the network, as Hugging Face calls it."""
    for name, sign in (("timm", "import timm\n"), ("torchvision", "torchvision")):
        if code and sign in code:
            return name
    return "pytorch"


def _what_it_is(winner: "Winner") -> str:
    config, question = winner.config, registry.summary(winner.family.name)
    return (
        f"An image classifier of {len(config['classes'])} classes with {config['parameters']:,} "
        f"parameters, the winner of its family in the study {code_markdown(winner.study.name)}. "
        f"The family's question: {question}"
    )


def _use(winner: "Winner", code: str | None) -> Iterator[str]:
    height, width, _ = winner.config["image_shape"]
    if code is None:
        yield (
            "This network can only be made by the project that trained it, transfer-study: its "
            f"family `{winner.family.name}` has no code that stands alone. There, "
            f"`trainables.registry.load_family({winner.family.name!r}).build(...)` with the "
            "parameters in `config.json` makes it, and `model.safetensors` has its weights."
        )
        return
    versions = winner.study.environment
    library = _library(code)
    needed = ["torch", *([library] if library != "pytorch" else []), "numpy"]
    shown = {name: escaped_markdown(versions[name]) for name in needed}
    listed = ", ".join(f"{name} ({version} in the study)" for name, version in shown.items())
    yield f"Needs {listed} and safetensors, nothing else. `predict` takes RGB images of"
    own = winner.dataset.survey is not None
    how = "to which they were scaled and cropped" if own else "as they are in the data set"
    yield f"{width}x{height} pixels, {how}.\n"
    yield f"```python\n{code}```\n"
    yield "For an image in a file, with Pillow, prepared as in training:\n"
    yield f"```python\n{image_code(winner.dataset, width)}"
    yield "(probabilities,) = predict(image[None])"
    yield "print(classes[probabilities.argmax()], probabilities.max())\n```"


def _results(winner: "Winner") -> Iterator[str]:
    final, count = winner.final, len(winner.seeds)
    yield f"On {final['test_images']:,} test images, which the choice of the model has not seen:\n"
    yield from _table(
        ("test metric", "this model", f"mean of {counted(count, 'seed')}", "standard deviation"),
        [
            (metric, f"{tested(final)[f'test_{metric}']:.4f}", *_spread(winner.seeds, metric))
            for metric in schema.METRICS
        ],
    )
    yield "\nLoss is the mean cross-entropy in nats; precision and recall are macro averages."
    rows = [_against(row, winner) for row in winner.comparisons if _is_mean_of(row, winner)]
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


def _is_mean_of(row: ComparisonRow, winner: "Winner") -> bool:
    """Whether a row compares this model, all seeds, at its share of the training images."""
    name = winner.family.name
    pair = {*models_of(row)}
    same_fraction = row["train_fraction"] == winner.final["train_fraction"]
    itself = {(name, "tuned"), (name, "baseline")} if winner.chosen.baseline_won else None
    return (name, "tuned") in pair and pair != itself and row["seed"] is None and same_fraction


def _against(row: ComparisonRow, winner: "Winner") -> tuple[str, ...]:
    """The cells of a comparison, turned so that the difference is this model's minus the other."""
    if models_of(row)[0] != (winner.family.name, "tuned"):
        row = swapped(row)
    values = row["difference"], row["ci_low"], row["ci_high"]
    difference, low, high = ("-" if value is None else f"{value:+.4f}" for value in values)
    return (
        escaped_markdown(" ".join(models_of(row)[1])),
        escaped_markdown(row["metric"]),
        difference,
        f"{low} to {high}",
        f"{row['n_images']:,}",
        str(row["n_seeds"]),
    )


def _training(winner: "Winner") -> Iterator[str]:
    final, settings, chosen = winner.final, winner.study.settings, winner.chosen
    trials = winner.study.closed.get(winner.family.name, settings).trials
    won = "the baseline itself, which nothing beat" if chosen.baseline_won else "found by search"
    yield (
        f"Of {trials} trials, scheduled by ASHA, `{chosen.trial_id}` had the best "
        f"validation accuracy: {won}. With its hyperparameters the network was trained anew, for "
        f"{final['last_epoch']} epochs on {final['train_images']:,} images, "
        f"{counted(settings.seeds, 'seed')}; this is seed {final['seed']}, the best on "
        f"validation, at its best epoch, {final['epoch']}. Trained on "
        f"{escaped_markdown(final['device'])}.\n"
    )
    params = winner.config["params"]
    yield from _table(
        ("hyperparameter", "value"),
        [(escaped_markdown(n), escaped_markdown(str(v))) for n, v in params.items()],
    )


def _hashes(winner: "Winner") -> Iterator[str]:
    study, stamp = winner.study, winner.stamp
    rows = [
        ("this model's `model.safetensors`", winner.config["weights_sha256"]),
        (f"data files of {winner.dataset.name}", stamp["data_sha256"]),
        ("split into training and validation", stamp["split_sha256"]),
        ("code", study.code_sha256),
    ]
    if winner.family.pretrained:
        weights = study.weights_of(winner.family.name)
        rows.append((f"pre-trained weights {code_markdown(weights.name)}", weights.sha256))
    rows = [(what, escaped_markdown(str(digest))) for what, digest in rows]
    yield from _table(("what", "SHA-256"), rows)
    versions = ", ".join(f"{name} {version}" for name, version in study.environment.items())
    commit = f"Commit {study.git_commit}; " if study.git_commit else ""
    yield f"\n{escaped_markdown(f'{commit}{versions}.')}"


def _limits(winner: "Winner") -> Iterator[str]:
    height, width, _ = winner.config["image_shape"]
    classes = winner.config["classes"]
    names = ", ".join(map(escaped_markdown, classes))
    yield f"- It knows its {len(classes)} classes and always names one of them: {names}."
    yield (
        f"- Trained and tested on images of {width}x{height} pixels from one data set; how good "
        "it is on others was not measured."
    )
    for note in winner.study.dataset.notes:
        yield f"- {escaped_markdown(note)}"
    yield "- Its probabilities are those of the softmax and were not calibrated."
    if len(winner.seeds) == 1:
        yield "- One seed: how much chance there is in its training was not measured."
    openings = winner.study.test_openings
    if openings > 1:
        yield f"- The test images were opened {openings} times, for different choices of models."


def _licences(winner: "Winner") -> Iterator[str]:
    yield f"- Data, {winner.dataset.name}: {winner.dataset.licence or NOT_STATED}."
    if winner.family.pretrained:
        weights = winner.study.weights_of(winner.family.name)
        source = source_of(weights, demo=winner.study.settings.weights == DEMO)
        said = f"{source.origin}; trained on: {source.trained_on}; licence: {source.licence}."
        name = code_markdown(weights.name)
        yield f"- Pre-trained weights, {name}: {escaped_markdown(said)}"
    yield "- The project's code, of which parts stand above: MIT."


def _table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for cells in (names, ["---"] * len(names), *rows):
        yield f"| {' | '.join(cells)} |"
