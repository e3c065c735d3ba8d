"""Test results and differences between models."""

import re
from itertools import combinations
from math import isclose

from recomputing.cells.registry import scaled
from recomputing.rules import STUDY, Values
from recomputing.shown import ANY_NUMBER, NUMBER, agrees
from recomputing.study import Recomputed
from recomputing.words import model_of


@STUDY.says("train fraction {fraction}: # training images")
def title_of_results(r: Recomputed, fraction: str) -> Values:
    return [r.images[r.at(fraction)]]


@STUDY.says("# validation images, # test images")
def images_of_results(r: Recomputed) -> Values:
    return [r.final[f"{part}_images"].iloc[0] for part in ("validation", "test")]


@STUDY.says("The search ran once, at train fraction #;")
def searched_at(r: Recomputed) -> Values:
    return [max(r.settings["train_fractions"])]


@STUDY.says("Ours were trained on # images")
def ours(r: Recomputed) -> Values:
    return [r.images[r.largest]]


@STUDY.says(
    "The seeds of {model} lie furthest apart: standard deviation # percentage points over # runs"
)
def furthest_apart(r: Recomputed, model: str) -> Values:
    own = r.measured[r.measured.fraction == r.largest]
    spreads = own.groupby(["family", "role"]).accuracy.std()
    assert isclose(spreads[model_of(model)], spreads.max())
    return [100 * spreads.max(), len(r.of_model(*model_of(model)))]


@STUDY.says("{model}, seed {seed} / #%")
def one_run(r: Recomputed, model: str, seed: str) -> Values:
    own = r.of_model(*model_of(model))
    return [own.accuracy[own.seed == int(seed)].item()]


@STUDY.says(
    "At train fraction {fraction}, {model} is # percentage points more accurate than {rival} "
    "( # to #, which ){rest}.$"
)
def more_accurate(r: Recomputed, fraction: str, model: str, rival: str, rest: str) -> Values:
    pair = model_of(model), model_of(rival)
    for metric, *numbers in OTHERS.findall(rest):
        expected = scaled(r.difference(*pair, r.at(fraction), metric), metric)
        assert all(map(agrees, numbers, expected)), (metric, numbers, expected)
    rest, _, listed = OTHERS.sub("", rest).partition("; Holm-adjusted p: ")
    seeds = sorted(r.of_model(*pair[0], r.at(fraction)).seed) if listed else []
    ps = [r.holm(*pair, r.at(fraction), seed) for seed in seeds]
    said = [f"{p:.4f}" if p >= 0.0001 else "below 0.0001" for p in ps]
    assert listed == ", ".join(f"{p} (seed {s})" for p, s in zip(said, seeds, strict=True)), said
    assert not ANY_NUMBER.search(rest), rest
    return scaled(r.difference(*pair, r.at(fraction)))


@STUDY.says(
    "At train fraction {fraction}, {model} is as accurate as {rival} ( # to #, which ){rest}.$"
)
def as_accurate(r: Recomputed, fraction: str, model: str, rival: str, rest: str) -> Values:
    found = more_accurate(r, fraction, model, rival, rest)
    assert found[0] == 0
    return found[1:]


OTHERS = re.compile(
    rf"; (?:macro )?(precision|recall|loss) says [^:;]*: ({NUMBER}) \[({NUMBER}), ({NUMBER})\]"
)


@STUDY.says(
    "# of # differences between tuned families have ; the largest is {a} minus {b}, # [#, #]"
)
def largest_difference(r: Recomputed, a: str, b: str) -> Values:
    pairs = [
        r.difference((one, "tuned"), (other, "tuned")) for one, other in combinations(r.ranked, 2)
    ]
    own = scaled(r.difference((a, "tuned"), (b, "tuned")))
    assert isclose(own[0], max(100 * abs(pair[0]) for pair in pairs))
    return [sum(low > 0 or high < 0 for _, low, high in pairs), len(pairs), *own]


@STUDY.says("Train fraction {fraction} | {a} minus {b} / # [#, #] points")
def difference_told(r: Recomputed, fraction: str, a: str, b: str) -> Values:
    return scaled(r.difference((a, "tuned"), (b, "tuned"), r.at(fraction)))


@STUDY.says("Train fraction {fraction} | {a}: tuned minus baseline / # [#, #] points")
def gain_told(r: Recomputed, fraction: str, a: str) -> Values:
    return scaled(r.difference((a, "tuned"), (a, "baseline"), r.at(fraction)))


@STUDY.says("{a} minus {b} # [#, #]")
def difference_in_words(r: Recomputed, a: str, b: str) -> Values:
    return scaled(r.difference((a, "tuned"), (b, "tuned")))


@STUDY.says("{a}: tuned minus baseline # [#, #]", "{a} # [#, #]", last=True)
def gain_in_words(r: Recomputed, a: str) -> Values:
    return scaled(r.difference((a, "tuned"), (a, "baseline")))


@STUDY.says("(Student's t over # seeds)")
def student(r: Recomputed) -> Values:
    return [r.measured.groupby(["family", "role", "fraction"]).size().min()]


@STUDY.says("for there being # of them")
def number_of_pairs(r: Recomputed) -> Values:
    """As many as there are of models that are not the same as another one's baseline."""
    models = {f: [m for m in r.models if m[2] == f] for f in r.images}
    counts = {
        len([m for m in own if m[1] == "baseline" or not r.is_baseline(m[0], m[2])])
        for own in models.values()
    }
    (count,) = counts
    return [count * (count - 1) / 2]


@STUDY.says("From # seeds there are # pairs")
def pairs_of_seeds(r: Recomputed) -> Values:
    seeds = r.measured.groupby(["family", "role", "fraction"]).size().min()
    return [seeds, seeds**2]
