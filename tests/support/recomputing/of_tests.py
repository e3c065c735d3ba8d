"""The tables of what the test images say."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import combinations, pairwise
from math import comb
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, mannwhitneyu, norm

from recomputing.intervals import DIFFERENCES, METRICS, Noise, difference, differences
from recomputing.study import MODEL, ROLES, Key, Keyed, Recomputed, over_seeds, table

REFERENCE = {
    "cnn": (50, 0.70, 0.71, 0.69, 1.58),
    "resnet50_scratch": (50, 0.66, 0.68, 0.65, 1.56),
    "resnet50_transfer": (50, 0.88, 0.88, 0.87, 0.52),
}


def results(r: Recomputed) -> Keyed:
    for fraction, own in r.measured.groupby("train_fraction", sort=False):
        found = over_seeds(own, MODEL, [f"test_{metric}" for metric in METRICS])
        models, spent = own.groupby(MODEL, sort=False).first().reset_index(), []
        for name, role in zip(models.search, models.role, strict=True):
            behind = r.of_search[name]
            behind = behind[behind.role == "baseline"] if role == "baseline" else behind
            spent.append(behind.device_seconds.sum() or np.nan)
        found = found.assign(parameters=models.parameters, search_device_seconds=spent)
        yield f"results/{fraction:g}", found


def reference(r: Recomputed) -> Keyed:
    rows, names = [], ("epoch", *METRICS)
    ours = r.final[r.final.role == "baseline"]
    ours = ours[ours.train_fraction == ours.train_fraction.max()]
    for family in r.families if r.settings["dataset"] == "cifar10" else ():
        if family in REFERENCE:
            known = dict(zip(names, REFERENCE[family], strict=True))
            rows.append({"family": family, "results": "reference", "seeds": 0, **known})
        own = ours[ours.family == family]
        for kind, average in (("macro", ""), ("micro at 0.5", "_micro_at_half")):
            ends = {"accuracy": "", "precision": average, "recall": average, "loss": ""}
            last = {metric: own[f"test_{metric}{end}_last_epoch"] for metric, end in ends.items()}
            found = over_seeds(own.assign(epoch=own.last_epoch, **last), ["family"], names)
            rows += found.assign(results=f"ours, {kind}").to_dict("records")
    columns = [f"{name}{end}" for name in names for end in ("", "_sd", "_known")]
    yield "results/reference", pd.DataFrame(rows, columns=["family", "results", *columns, "seeds"])


def of_pairs(r: Recomputed) -> Keyed:
    columns = f"a_family,a_role,b_family,b_role,{DIFFERENCES},p_value_holm,certain,better_in,seeds"
    for fraction in sorted(r.comparison.train_fraction.unique(), reverse=True):
        own = [model for model in r.models if model[2] == fraction and not r.is_repeated(model)]
        pairs, rows = combinations(sorted(own, key=lambda model: -r.points[model][0]), 2), []
        # Tuned ones first, then those of one family.
        for a, b in sorted(pairs, key=lambda p: ("baseline" in p[0] + p[1], p[0][0] != p[1][0])):
            of_a, of_b = (r.seeds[model]["accuracy"].points for model in (a, b))
            p, ends = r.holm[frozenset([a, b])], differences(r.seeds[a], r.seeds[b])
            certain = (ends[1] > 0 or ends[2] < 0) and (pd.isna(p) or p < 0.05)
            wins = mannwhitneyu(of_a, of_b, method="asymptotic").statistic / len(of_a) / len(of_b)
            seeds = min(len(of_a), len(of_b))
            last = p, "yes" if certain else "no", wins if seeds > 1 else np.nan, seeds
            rows.append((*a[:2], *b[:2], *ends, *last))
        yield f"differences/{fraction:g}", table(columns, rows)


def data(r: Recomputed) -> Keyed:
    if len(r.fractions) < 2:
        return
    tuned = r.measured[r.measured.role == "tuned"]
    means = over_seeds(tuned, ["family", "train_images"], ["test_accuracy"])
    wide = means.pivot_table(index="family", columns="train_images", dropna=False)
    wide.columns = [f"{name} {images}".removeprefix("test_") for name, images in wide]
    yield "data/accuracy", wide.reindex(tuned.family.unique()).reset_index()

    same = all(r.is_repeated(model) for model in r.models if model[1] == "baseline")
    roles = ROLES[:1] if same else ROLES
    images = r.final.groupby("train_fraction").train_images.first()
    generator = np.random.default_rng([0, 2])
    rows = []
    for model in r.models:
        own, of_training = r.seeds[model]["accuracy"], images[model[2]]
        row = *model, of_training, *r.points[model], len(own.points), own.noisy(generator)
        rows.append(row)
    points = table("family,role,fraction,images,accuracy,low,high,seeds,noisy", rows)
    curves = dict(iter(points.groupby(MODEL, sort=False)))
    shown = pd.concat(own for (_, role), own in curves.items() if role in roles)
    yield "data/curves", shown.drop(columns=["fraction", "noisy"])

    pairs = [(a, b) for a, b in combinations(curves, 2) if a[1] == b[1]]
    pairs.sort(key=lambda pair: pair[0][1], reverse=True)
    crossings, needed = [], []
    for a, b in pairs:
        both = curves[a].merge(curves[b], on=["fraction", "images"], suffixes=("", "_b"))
        if a[1] in roles and len(both) > 1:
            crossings.append((a[1], a[0], b[0], *_crossing(a[0], b[0], both)))
        unequal = both[both.accuracy != both.accuracy_b]
        for row in unequal.itertuples() if a[1] == "tuned" else ():
            leader, follower = (a, b) if row.accuracy > row.accuracy_b else (b, a)
            sizes, reached = curves[follower][["images", "accuracy"]].to_numpy().T
            least = _first_zero(sizes, max(row.accuracy, row.accuracy_b) - reached)
            bound = {0.0: "at most ", np.inf: "more than "}.get(least, "")
            least = np.clip(least, sizes[0], sizes[-1])
            needed.append((leader[0], row.images, follower[0], bound, least, least / row.images))
    yield "data/crossings", table("role,a,b,first,last,images,low,high,changed", crossings)
    yield "data/equal", table("leader,images,follower,bound,needed,times", needed)


def _crossing(a: str, b: str, both: pd.DataFrame) -> tuple[Any, ...]:
    """Who leads at both ends, where that changes, the interval of that, or in how many draws."""
    images, gaps = both.images.to_numpy(), (both.accuracy - both.accuracy_b).to_numpy()
    decided = np.flatnonzero(gaps)
    if not len(decided):
        return "equal", "equal", None, np.nan, np.nan, np.nan
    changes = [i for i, j in pairwise(decided) if gaps[i] * gaps[j] < 0]
    found = [_first_zero(images[i:], gaps[i:] * np.sign(gaps[i])) for i in changes]
    noisy = np.stack(both.noisy - both.noisy_b) * np.sign(gaps[decided[0]])
    firsts = [_first_zero(images, own) for own in noisy.T]
    ends = np.quantile(firsts, [(1 - 0.95) / 2, 1 - (1 - 0.95) / 2], method="inverted_cdf")
    leaders = (a if gaps[place] > 0 else b for place in (decided[0], decided[-1]))
    changed = np.nan if found else np.isfinite(firsts).mean()
    return *leaders, found or None, *(ends if len(found) == 1 else (np.nan, np.nan)), changed


def _first_zero(images: np.ndarray, gaps: np.ndarray) -> float:
    """Images at which a difference is not positive for the first time, on lines over their logs."""
    behind = np.flatnonzero(gaps <= 0)
    if not len(behind) or not behind[0]:
        return np.inf if not len(behind) else 0.0
    ends = [behind[0], behind[0] - 1]
    return float(np.exp(np.interp(0, gaps[ends], np.log(images[ends]))))


def calibration(r: Recomputed) -> Keyed:
    rows = []
    for key in (key for key in r.measured.key if not r.is_repeated(key, "tuned")):
        said, label = r.said[key], r.runs[key].label.to_numpy()
        confidence, right = said.max(axis=1), said.argmax(axis=1) == label
        # Guo et al. 2017, with 15 bins that are closed above.
        gaps = pd.Series(confidence - right).groupby(np.ceil(confidence * 15).clip(1, 15)).sum()
        rows.append((*key[:3], gaps.abs().sum() / len(label), confidence.mean(), right.mean()))
    own = table("family,role,train_fraction,error,confidence,accuracy", rows)
    yield "classes/calibration", over_seeds(own, own.columns[:3], own.columns[3:])


def ensembles(r: Recomputed) -> Keyed:
    rows = []
    for family, keys in r.tuned.items():
        labels, said = r.runs[keys[0]].label.to_numpy(), [r.said[key] for key in keys]
        right = sum(said).argmax(axis=1) == labels
        alone = np.mean([own.argmax(axis=1) == labels for own in said], axis=0)
        ends = binomtest(int(right.sum()), len(right)).proportion_ci(method="wilson")
        # Two images more, half a one that is gained and half a one that is lost.
        gains, weights = [*(right - alone), 1, -1, 0], [*np.ones(len(right)), 0.5, 0.5, 1]
        mean = np.average(gains, weights=weights)
        deviation = np.sqrt(np.average((gains - mean) ** 2, weights=weights) / sum(weights))
        difference = norm.interval(0.95, mean, deviation)
        if len(keys) > 1:
            means = right.mean(), *ends, alone.mean(), (right - alone).mean()
            rows.append((family, len(keys), *means, *difference))
    columns = "family,seeds,accuracy,low,high,single,difference,difference_low,difference_high"
    yield "results/ensembles", table(columns, rows)


def classes(r: Recomputed) -> Keyed:
    if not r.tuned:
        return
    scores: dict[str, Any] = {"class": r.classes}
    confusions = []
    for family, keys in r.tuned.items():
        matrix = r.confusion(family)
        hits, said, images = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
        scores.setdefault("images", images // len(keys))
        with np.errstate(invalid="ignore"):
            scores[f"{family} precision"] = np.nan_to_num(hits / said)
            scores[f"{family} recall"] = hits / images
            shares = np.nan_to_num(matrix / images[:, None])
        np.fill_diagonal(shares, 0)
        for place in np.argsort(-shares, axis=None, kind="stable")[:3]:
            true, guess = divmod(int(place), len(shares))
            if shares[true, guess]:
                names = family, "tuned", r.classes[true], r.classes[guess]
                confusions.append((*names, shares[true, guess], matrix[true, guess], images[true]))
        if len(shares) <= 20:
            names = [n if n == str(i) else f"{i} {n}" for i, n in enumerate(r.classes)]
            columns = {"true class": names, **{str(i): matrix[:, i] for i in range(len(names))}}
            yield f"classes/{family}", pd.DataFrame(columns)
    yield "classes/scores", pd.DataFrame(scores)
    columns = "family,role,true_class,taken_for,share,wrong,images"
    yield "classes/confusions", table(columns, confusions)


def doubtful(r: Recomputed) -> Keyed:
    """What the tuned models together, all as one, are wrong on."""
    if not r.tuned:
        return
    of_family = [np.mean([r.said[key] for key in keys], axis=0) for keys in r.tuned.values()]
    together, runs = (
        np.mean(of_family, axis=0),
        [r.runs[k] for own in r.tuned.values() for k in own],
    )
    rows = runs[0].reset_index(drop=True).reindex(columns=["image_index", "label", "file"])
    rows = rows.assign(
        taken_for=together.argmax(axis=1),
        probability=together.max(axis=1),
        probability_of_label=together[rows.index, rows.label],
        wrong=sum((run.predicted != run.label).to_numpy().astype(int) for run in runs),
        trainings=len(runs),
    )
    rows = rows[rows.probability_of_label < rows.probability]
    rows = rows.sort_values("probability_of_label", kind="stable").head(1000)
    for side in ("label", "taken_for"):
        rows[side] = [r.classes[index] for index in rows[side]]
    yield "classes/certain-but-wrong", rows


def settle(r: Recomputed) -> Keyed:
    rows, models = [], [(family, "tuned", r.fractions[0]) for family in r.tuned]
    best = sorted(models, key=lambda model: -r.points[model][0])[:2]
    if len(best) > 1 and len(r.comparison):
        sides = [r.seeds[model]["accuracy"] for model in best]
        (found, low, high), holm = difference(*sides), r.holm[frozenset(best)]
        hits = [side.of_images for side in sides]
        alike = all((own == hits[0][0]).all() for own in hits)
        if (low <= 0 <= high or holm >= 0.05) and min(map(len, hits)) > 1 and not alike:
            distinct = {r.networks(*model) for model in r.models if model[2] == r.fractions[0]}
            rows = _ways(r, best, Noise(hits, abs(found), comb(len(distinct), 2)))
    yield "differences/settle", table("way,now,needed,half_width,chance,device_hours", rows)


def _ways(r: Recomputed, best: Sequence[Key], noise: Noise) -> list[tuple[Any, ...]]:
    finals, now = r.final.drop_duplicates("trial_id"), min(noise.seeds)
    seeds = _fewest(lambda number: noise.with_seeds(number)[1], max(noise.seeds), 50)
    seeds = seeds and max(seeds, now + 1)
    images = _fewest(lambda number: noise.with_images(number, now)[1], 1, 10_000_000)
    step = 10 ** max(0, len(str(images)) - 2)
    images = images and -(-images // step) * step
    spent = finals.groupby(["family", "role", "train_fraction"]).device_seconds
    again = (spent.mean() * ((seeds or 0) - spent.size()).clip(lower=0)).sum()
    anew = finals[finals.family.isin([model[0] for model in best])].device_seconds.sum()
    more = (*noise.with_seeds(seeds), again / 3600) if seeds else [None] * 3
    other = (*noise.with_images(images, now), anew / 3600) if images else [None] * 3
    return [("more seeds", now, seeds, *more), ("more test images", noise.tested, images, *other)]


def _fewest(chance: Callable[[int], float], low: int, most: int) -> int | None:
    """The fewest that make a chance of 80%."""
    if low > most or chance(most) < 0.8:
        return None
    return low + bisect_left(range(low, most), True, key=lambda number: chance(number) >= 0.8)


TABLES = (results, reference, of_pairs, data, calibration, ensembles, classes, doubtful, settle)
