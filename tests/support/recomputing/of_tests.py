"""The tables of what the test images say."""

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest, mannwhitneyu, norm

from recomputing.intervals import METRICS
from recomputing.search_results import Recomputed
from recomputing.tables import Keyed, over_seeds, table
from recomputing.tested import KEY, Model

MODEL = ["family", "role"]
REFERENCE = {
    "cnn": (50, 0.70, 0.71, 0.69, 1.58),
    "resnet50_scratch": (50, 0.66, 0.68, 0.65, 1.56),
    "resnet50_transfer": (50, 0.88, 0.88, 0.87, 0.52),
}


def results(r: Recomputed) -> Keyed:
    for fraction, own in r.in_order.groupby("train_fraction", sort=False):
        found = over_seeds(own, MODEL, [f"test_{metric}" for metric in METRICS])
        found["parameters"] = own.groupby(MODEL, sort=False).parameters.first().to_list()
        spent = []
        for family, role in found[MODEL].itertuples(index=False):
            behind = r.of_search[r.search_behind(family, fraction)]
            behind = behind[behind.role == "baseline"] if role == "baseline" else behind
            spent.append(behind.device_seconds.sum() or np.nan)
        yield f"results/{fraction:g}", found.assign(search_device_seconds=spent)


def reference(r: Recomputed) -> Keyed:
    rows, names = [], ("epoch", *METRICS)
    ours = r.final[(r.final.role == "baseline")]
    ours = ours[ours.train_fraction == ours.train_fraction.max()]
    for family in r.families if r.settings["dataset"] == "cifar10" else ():
        if family in REFERENCE:
            known = dict(zip(names, REFERENCE[family], strict=True))
            rows.append({"family": family, "results": "reference", "seeds": 0, **known})
        own = ours[ours.family == family]
        for kind, average in (("macro", ""), ("micro at 0.5", "_micro_at_half")):
            last = {"epoch": own.last_epoch}
            for metric in METRICS:
                end = average if metric in {"precision", "recall"} else ""
                last[metric] = own[f"test_{metric}{end}_last_epoch"]
            found = over_seeds(own.assign(**last), ["family"], names)
            rows += found.assign(results=f"ours, {kind}").to_dict("records")
    columns = [f"{name}{end}" for name in names for end in ("", "_sd", "_known")]
    yield "results/reference", pd.DataFrame(rows, columns=["family", "results", *columns, "seeds"])


def differences(r: Recomputed) -> Keyed:
    for fraction in sorted(r.comparison.train_fraction.unique(), reverse=True):
        models = sorted(
            (model[:2] for model in r.models if model[2] == fraction and not r.is_repeated(model)),
            key=lambda model: -r.points[*model, fraction][0],
        )
        rows = []
        for a, b in combinations(models, 2):
            of_a, of_b = (r.of_model(*model, fraction).test_accuracy for model in (a, b))
            ends = np.ravel([r.difference(a, b, fraction, metric) for metric in METRICS])
            p, (_, low, high, *_) = r.holm[a, b, fraction], ends
            certain = (low > 0 or high < 0) and (pd.isna(p) or p < 0.05)
            wins = mannwhitneyu(of_a, of_b, method="asymptotic").statistic / len(of_a) / len(of_b)
            seeds = min(len(of_a), len(of_b))
            better = wins if seeds > 1 else np.nan
            kind = 0 if a[1] == b[1] == "tuned" else 1 if a[0] == b[0] else 2
            rows.append((kind, *a, *b, *ends, p, "yes" if certain else "no", better, seeds))
        rows.sort(key=lambda row: row[0])
        names = [f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high")]
        columns = (
            f"a_family,a_role,b_family,b_role,{','.join(names)},p_value_holm,certain,better_in"
        )
        yield f"differences/{fraction:g}", table(f"{columns},seeds", (row[1:] for row in rows))


class Curve:
    """A model's accuracy against training images, on lines over log(images)."""

    def __init__(self, r: Recomputed, model: Model, fractions: list[float]) -> None:
        self.images = [r.images[fraction] for fraction in fractions]
        self.logs = np.log(self.images)
        self.points = [r.points[*model, fraction] for fraction in fractions]
        self.level = np.array([point[0] for point in self.points])
        self.noisy = np.stack([r.noisy[*model, fraction] for fraction in fractions])

    def images_to_reach(self, goal: float) -> tuple[str, float]:
        """The fewest images with which it does, and whether these are a bound."""
        able = np.flatnonzero(self.level >= goal)
        if not len(able):
            return "more than ", self.images[-1]
        if not able[0]:
            return "at most ", self.images[0]
        ends = slice(able[0] - 1, able[0] + 1)
        return "", float(np.exp(np.interp(goal, self.level[ends], self.logs[ends])))


def data(r: Recomputed) -> Keyed:
    if len(r.fractions) < 2:
        return
    cells: dict[str, dict[str, Any]] = {}
    for images, own in r.in_order[r.in_order.role == "tuned"].groupby("train_images", sort=False):
        for row in over_seeds(own, ["family"], ["test_accuracy"]).to_dict("records"):
            family = row.pop("family")
            named = {f"{name} {images}".removeprefix("test_"): row[name] for name in row}
            cells.setdefault(family, {"family": family}).update(named)
    yield "data/accuracy", pd.DataFrame(cells.values())

    models = dict.fromkeys(model[:2] for model in r.models)
    sizes = {model: [f for f in r.fractions[::-1] if (*model, f) in r.points] for model in models}
    curves = {model: Curve(r, model, own) for model, own in sizes.items()}
    same = all(map(r.is_repeated, (model for model in r.models if model[1] == "baseline")))
    roles = ("tuned",) if same else ("tuned", "baseline")
    points = [
        (*model, images, *point, len(r.of_model(*model, fraction)))
        for model, own in curves.items()
        for images, point, fraction in zip(own.images, own.points, sizes[model], strict=True)
        if model[1] in roles
    ]
    yield "data/curves", table("family,role,images,accuracy,low,high,seeds", points)

    pairs = [(a, b) for a, b in combinations(curves, 2) if a[1] == b[1]]
    pairs.sort(key=lambda pair: pair[0][1], reverse=True)
    crossings, needed = [], []
    for a, b in pairs:
        shared = [fraction for fraction in sizes[a] if fraction in sizes[b]]
        one, other = (Curve(r, model, shared) for model in (a, b))
        if a[1] in roles and len(shared) > 1:
            crossings.append((a[1], a[0], b[0], *_crossing(one, other, a[0], b[0])))
        for images, left, right in zip(one.images, one.level, other.level, strict=True):
            if a[1] == "tuned" and left != right:
                leader, follower = (a, b) if left > right else (b, a)
                bound, need = curves[follower].images_to_reach(max(left, right))
                needed.append((leader[0], images, follower[0], bound, need, need / images))
    yield "data/crossings", table("role,a,b,first,last,images,low,high,changed", crossings)
    yield "data/equal", table("leader,images,follower,bound,needed,times", needed)


def _crossing(one: Curve, other: Curve, a: str, b: str) -> tuple[Any, ...]:
    """Who leads at both ends, where that changes, the interval of that, or in how many draws."""
    gaps, found = one.level - other.level, []
    decided = np.flatnonzero(gaps)
    if not len(decided):
        return "equal", "equal", None, np.nan, np.nan, np.nan
    for i, j in pairwise(decided):
        if gaps[i] * gaps[j] < 0:
            order = sorted([i, j], key=lambda place: gaps[place])
            at = np.exp(np.interp(0, gaps[order], one.logs[order]))
            found.append(float(one.images[i + 1] if j > i + 1 else at))
    drawn = np.sign(gaps[decided[0]]) * (one.noisy - other.noisy)
    firsts = [_first_zero(one.logs, own) for own in drawn.T]
    ends = np.quantile(firsts, [(1 - 0.95) / 2, 1 - (1 - 0.95) / 2], method="inverted_cdf")
    first, last = (a if gaps[place] > 0 else b for place in (decided[0], decided[-1]))
    changed = np.nan if found else np.isfinite(firsts).mean()
    return first, last, found or None, *(ends if len(found) == 1 else (np.nan, np.nan)), changed


def _first_zero(logs: np.ndarray, gaps: np.ndarray) -> float:
    """Images at which a difference is not positive for the first time."""
    behind = np.flatnonzero(gaps <= 0)
    if not len(behind) or not behind[0]:
        return np.inf if not len(behind) else 0.0
    ends = [behind[0], behind[0] - 1]
    return float(np.exp(np.interp(0, gaps[ends], logs[ends])))


def calibration(r: Recomputed) -> Keyed:
    own = r.in_order.assign(accuracy=r.in_order.test_accuracy)
    again = [r.is_repeated(key, "tuned") for key in own[KEY].itertuples(index=False, name=None)]
    by, shown = ["train_fraction", *MODEL], ["error", "confidence", "accuracy"]
    yield "classes/calibration", over_seeds(own[~np.array(again, dtype=bool)], by, shown)


def ensembles(r: Recomputed) -> Keyed:
    rows = []
    for family in r.tuned:
        keys = [k for k in r.runs if k[:3] == (family, "tuned", r.fractions[0])]
        said = [np.stack(r.runs[key].probabilities.to_numpy()).astype(float) for key in keys]
        labels = r.runs[keys[0]].label.to_numpy()
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
    matrices = {family: r.confusion(family) for family in r.tuned}
    if not matrices:
        return
    every = [len(r.of_model(family, "tuned", r.fractions[0])) for family in matrices]
    scores: dict[str, Any] = {"class": r.classes}
    scores["images"] = matrices[r.tuned[0]].sum(axis=1) // every[0]
    confusions = []
    for family, matrix in matrices.items():
        hits, said, images = np.diag(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
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
    tuned = r.predictions[r.predictions.role == "tuned"]
    tuned = tuned[tuned.train_fraction == r.predictions.train_fraction.max()]
    if not len(tuned):
        return
    said = np.stack(tuned.probabilities).astype(np.float64)
    keys = [tuned.family.astype(str).to_numpy(), tuned.image_index.to_numpy()]
    together = pd.DataFrame(said).groupby(keys).mean().groupby(level=1).mean()
    of_image = tuned.groupby("image_index", observed=True)
    label, best = of_image.label.first(), together.to_numpy().argmax(axis=1)
    missed = tuned.assign(missed=tuned.label != tuned.predicted).groupby("image_index").missed
    rows = pd.DataFrame(
        {
            "image_index": together.index,
            "file": of_image.file.first().tolist() if "file" in tuned else None,
            "label": label.tolist(),
            "taken_for": best,
            "probability": together.to_numpy().max(axis=1),
            "probability_of_label": together.to_numpy()[np.arange(len(label)), label],
            "wrong": missed.sum().tolist(),
            "trainings": len(tuned) // len(label),
        }
    )
    rows = rows[rows.probability_of_label < rows.probability]
    rows = rows.iloc[np.argsort(rows.probability_of_label, kind="stable")].head(1000)
    for side in ("label", "taken_for"):
        rows[side] = [r.classes[index] for index in rows[side]]
    yield "classes/certain-but-wrong", rows
