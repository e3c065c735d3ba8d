"""Does an audit name what was planted in somebody's study, and accuse nobody else?

    python benchmarks/audit.py [--studies 100] [--journals 3] [--databases 1] [--ray 0]
        [--first 0]

Studies are those of tests/support/foreign_studies.py, with random values. Sins: planted and found,
and how often a study is accused of one that it has not. Claims: studies whose two models are alike,
or whose trials are no better than the baseline; how often any claim is called supported. Luck: how
much better the best of N is than it would be on average, and how much the audit says.
"""

import argparse
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import optuna
import scipy

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "support")]

from foreign_studies import (
    CLEAN,
    NOISE,
    PLANTED,
    Foreign,
    finals,
    search,
    write_csv,
    write_optuna,
    write_ray,
)

from orchestrator.audit.claims import LEVEL, permutation_p_value
from orchestrator.audit.document import Audit, audit
from orchestrator.audit.foreign import Said
from orchestrator.audit.interpret import interpret
from orchestrator.audit.read import read
from orchestrator.audit.selection_bias import expected_noise_of_best

Write = Callable[[Foreign, Path], Path]
WRITERS: dict[str, tuple[Write, str]] = {
    "CSV": (write_csv, ".csv"),
    "Optuna journal": (write_optuna, ".log"),
    "Optuna SQLite": (write_optuna, ".db"),
    "Ray Tune folder": (write_ray, ""),
}


def audited(path: Path, arguments: list[str], **more: object) -> Audit:
    """The audit of a file, with the few flags that made-up studies need."""
    given = dict(zip(arguments[::2], arguments[1::2], strict=True))
    said = Said(metric=given.get("--metric"), baseline=given.get("--baseline"), **more)
    return audit(interpret(read(path, study=None, metric=said.metric), said))


def sins(
    counts: dict[str, int], first: int, place: Path
) -> Iterator[tuple[str, str, int, int, int]]:
    """Format, study, how many, those with all that was planted, those accused of another."""
    for form, (write, suffix) in WRITERS.items():
        for name, make in {**CLEAN, **PLANTED}.items():
            made = named = accused = 0
            for seed in range(first, first + counts[form]):
                study = make(np.random.default_rng([seed, len(name)]))
                if form.startswith("Optuna") and (study.more or not study.metric):
                    continue  # its objective has a name, and a trial has one value of test
                path = write(study, place / f"{form.replace(' ', '-')}-{name}-{seed}{suffix}")
                found = {sin.name for sin in audited(path, study.arguments).sins}
                made += 1
                named += study.sins <= found
                accused += bool(found - study.sins)
            if made:
                yield form, name, made, named, accused


def nulls(count: int, place: Path) -> Iterator[tuple[str, int, int]]:
    """What is equal, studies, and those in which a claim is called supported all the same."""
    for what, seeds, more in (
        ("two models alike, 2 seeds of each final", 2, {}),
        ("two models alike, 3 seeds of each final", 3, {}),
        ("two models alike, a random search each, no finals", 0, {"independent": True}),
    ):
        wrong = 0
        for seed in range(count):
            random = np.random.default_rng([seed, seeds])
            rows = search(random, gap=0.0)
            own = finals(random, rows, seeds) if seeds else []
            for row in own:  # the same truth in all
                for name in ("value", "test"):
                    row[name] = round(0.8 + NOISE * random.standard_normal(), 5)
            path = write_csv(Foreign([*rows, *own]), place / "null.csv")
            claims = audited(path, [], **more).claims
            if not seeds:  # baselines are worse than trials here; they are not asked
                claims = [claim for claim in claims if "baseline" not in claim.claim]
            wrong += any(claim.standing == "supported" for claim in claims)
        yield what, count, wrong
    yield from _nulls_of_baselines(count, place)
    yield (
        "not called supported: p below 0.05 of two TPE searches alike",
        *_searches_that_learn(60),
    )


def _nulls_of_baselines(count: int, place: Path) -> Iterator[tuple[str, int, int]]:
    """Trials that are as good as the baseline; the noise is known from seeds or from images."""
    for what, again, images in (
        ("16 trials like the baseline, noise from 3 seeds of each", 3, None),
        ("16 trials like the baseline, noise from 5,000 images", 1, 5000),
    ):
        wrong = 0
        for number in range(count):
            random = np.random.default_rng([number, again])
            lines = ["trial,role,learning_rate,seed,val_accuracy"]
            for trial in range(16):
                role = "search" if trial else "baseline"
                for seed in range(again):
                    value = random.binomial(5000, 0.8) / 5000
                    lines.append(f"{trial}-{seed},{role},{trial + 1}e-4,{seed},{value}")
            path = place / "null.csv"
            path.write_text("\n".join(lines))
            found = audited(path, [], validation_images=images)
            wrong += any(claim.standing == "supported" for claim in found.claims)
        yield what, count, wrong


def _searches_that_learn(count: int) -> tuple[int, int]:
    """Pairs of searches of one landscape by Optuna's TPE, and those whose trials differ."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def value(trial: optuna.Trial, random: np.random.Generator) -> float:
        rates = [trial.suggest_float(name, -4, 0) for name in ("a", "b", "c")]
        return 0.8 - sum(0.02 * (rate + 2) ** 2 for rate in rates) + NOISE * random.normal()

    different = 0
    for number in range(count):
        found = []
        for side in range(2):
            sampler = optuna.samplers.TPESampler(seed=2 * number + side)
            study = optuna.create_study(direction="maximize", sampler=sampler)
            random = np.random.default_rng([number, side])
            study.optimize(lambda trial, random=random: value(trial, random), 32)
            found.append(np.array([trial.value for trial in study.trials]))
        different += permutation_p_value(found[0], found[1], 16) < LEVEL
    return count, different


def luck(count: int) -> Iterator[tuple[str, int, float, float]]:
    """Landscape, N, the luck of the best on average in points, and what is said of it."""
    for name, draw in {
        "all alike": lambda _, n: np.full(n, 0.8),
        "normal, deviation like the noise": lambda random, n: 0.8 + NOISE * random.normal(size=n),
        "normal, four times the noise": lambda random, n: 0.8 + 4 * NOISE * random.normal(size=n),
        "many good, few bad": lambda random, n: 0.8 - 0.03 * random.exponential(size=n),
    }.items():
        for n in (8, 32):
            true, said = [], []
            for seed in range(count):
                random = np.random.default_rng([seed, n])
                truths = draw(random, n)
                values = truths + NOISE * random.standard_normal(n)
                best = values.argmax()
                true.append(values[best] - truths[best])
                said.append(expected_noise_of_best(values, NOISE, np.ones(n)))
            yield name, n, 100 * float(np.mean(true)), 100 * float(np.mean(said))


def main() -> None:
    """Simulates and prints Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, default in (("studies", 100), ("journals", 3), ("databases", 1), ("ray", 0)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--nulls", type=int, default=500)
    parser.add_argument("--first", type=int, default=0, help="seed of the first study")
    options = parser.parse_args()
    counts = [options.studies, options.journals, options.databases, options.ray]
    started = time.process_time()
    if options.ray:
        import ray

        os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with tempfile.TemporaryDirectory() as folder:
        print("| format | study | studies | all planted named | accused of another |")
        print("| --- | --- | --- | --- | --- |")
        totals = np.zeros((2, 3), dtype=int)
        for form, name, *found in sins(
            dict(zip(WRITERS, counts, strict=True)), options.first, Path(folder)
        ):
            named = found[1] if name in PLANTED else ""
            print(f"| {form} | {name} | {found[0]} | {named} | {found[2]} |", flush=True)
            totals[int(name in PLANTED)] += found
        for what, (made, named, accused) in zip(("clean", "planted"), totals, strict=True):
            print(f"\n{what}: {made} studies, {named} with all named, {accused} accused of another")
        print("\n| nothing to be found | studies | a claim called supported |\n| --- | --- | --- |")
        for what, made, wrong in nulls(options.nulls, Path(folder)) if options.nulls else ():
            print(f"| {what} | {made} | {100 * wrong / made:.1f}% |", flush=True)
        print("\n| trials' true values | N | luck of the best, points | said |")
        print("| --- | --- | --- | --- |")
        for name, n, true, said in luck(options.nulls) if options.nulls else ():
            print(f"| {name} | {n} | {true:.2f} | {said:.2f} |", flush=True)
    print(
        f"\nnumpy {np.__version__}, scipy {scipy.__version__}, optuna {optuna.__version__}, Python "
        f"{platform.python_version()}, {time.process_time() - started:.0f} CPU seconds on "
        f"{platform.machine()}"
    )


if __name__ == "__main__":
    main()
