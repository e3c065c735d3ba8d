"""Which classes are confused, and how sure the models are."""

from math import isclose

import numpy as np

from recomputing.rules import STUDY, Values
from recomputing.study import Recomputed
from recomputing.words import model_of


@STUDY.says("{a} most often takes {true} for {guess}: #% of its images")
def most_often(r: Recomputed, a: str, true: str, guess: str) -> Values:
    names = [" ".join(name.split()) for name in r.classes]
    shares = r.confusion(a) / np.maximum(1, r.confusion(a).sum(axis=1))[:, None]
    np.fill_diagonal(shares, 0)
    found = shares[names.index(true), names.index(guess)]
    assert isclose(found, shares.max())
    return [found]


@STUDY.says("{model}: # of # right over # seeds")
def right(r: Recomputed, model: str) -> Values:
    matrix = r.confusion(model_of(model)[0])
    return [np.trace(matrix), matrix.sum(), len(r.of_model(*model_of(model)))]


@STUDY.says("confusion | {model} | {true}$")
def class_named(r: Recomputed, model: str, true: str) -> Values:
    assert true in {" ".join(name.split()) for name in r.classes}, model
    return []


@STUDY.says("confusion | {model} | {true} taken for {guess}: / # of # (#%) = #")
def cell_written(r: Recomputed, model: str, true: str, guess: str) -> Values:
    found = cell_told(r, model, true, guess)
    return [*found, 100 * found[-1]]


@STUDY.says("confusion | {model} | {true} taken for {guess}: / # of # (#%)")
def cell_told(r: Recomputed, model: str, true: str, guess: str) -> Values:
    names = [" ".join(name.split()) for name in r.classes]
    matrix = r.confusion(model_of(model)[0])
    own = matrix[names.index(true)]
    wrong = own[names.index(guess)]
    return [wrong, own.sum(), wrong / own.sum()]


@STUDY.says("confusion | {model} | {true} taken for others: / # of # (#%)")
def others_told(r: Recomputed, model: str, true: str) -> Values:
    names = [" ".join(name.split()) for name in r.classes]
    matrices = {family: r.confusion(family) for family in r.tuned}
    recall = np.mean([np.diag(m) / np.maximum(1, m.sum(axis=1)) for m in matrices.values()], axis=0)
    own = matrices[model_of(model)[0]][names.index(true)]
    rest = own.sum() - own[np.argsort(recall, kind="stable")[:20]].sum()
    return [rest, own.sum(), rest / own.sum()]


@STUDY.says("{a}: {true} taken for {guess}, # of # (#%)")
def gallery(r: Recomputed, a: str, true: str, guess: str) -> Values:
    return cell_told(r, f"{a} tuned", true, guess)


@STUDY.says("Test image {image}, {true}, taken for {guess}")
def picture(r: Recomputed, image: str, true: str, guess: str) -> Values:
    own = r.predictions[(r.predictions.image_index == int(image)) & (r.predictions.role == "tuned")]
    names = [" ".join(name.split()) for name in r.classes]
    own = own[own.label == names.index(true)]
    assert names.index(guess) in set(own.predicted)
    return []


@STUDY.says("Test images of # seeds together", "Test images of # seed together")
def seeds_together(r: Recomputed) -> Values:
    return [len(r.of_model(r.ranked[0], "tuned"))]


@STUDY.says("The # of # classes with the lowest mean recall are shown")
def hardest(r: Recomputed) -> Values:
    return [20, len(r.classes)]


@STUDY.says(
    "{model} at train fraction {fraction} is overconfident: on average #% sure and #% right"
)
def overconfident(r: Recomputed, model: str, fraction: str) -> Values:
    own = r.of_model(*model_of(model), r.at(fraction))
    assert own.confidence.mean() > own.accuracy.mean()
    return [own.confidence.mean(), own.accuracy.mean()]


@STUDY.says(
    "{model} at train fraction {fraction} is underconfident: on average #% sure and #% right"
)
def underconfident(r: Recomputed, model: str, fraction: str) -> Values:
    own = r.of_model(*model_of(model), r.at(fraction))
    assert own.confidence.mean() < own.accuracy.mean()
    return [own.confidence.mean(), own.accuracy.mean()]
