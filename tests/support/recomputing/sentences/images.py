"""What the data buy: accuracy against training images, and where curves cross."""

from math import inf

from recomputing.rules import STUDY, Values
from recomputing.shown import Digits
from recomputing.study import Recomputed
from recomputing.words import about, model_of


@STUDY.says(
    "With the fewest images, #, {a} is # points ahead of {b}; with the most, #, {a2} is # points "
    "ahead of {b2}"
)
def ends(r: Recomputed, a: str, b: str, a2: str, b2: str) -> Values:
    found: Values = []
    for fraction, names in ((min(r.images), (a, b)), (max(r.images), (a2, b2))):
        means = {m[0]: r.accuracy(*m) for m in r.models if m[1:] == ("tuned", fraction)}
        assert sorted(means.values())[-2:] == [means[names[1]], means[names[0]]]
        found += [r.images[fraction], 100 * (means[names[0]] - means[names[1]])]
    return found


@STUDY.says("{model}, {images} images / #% [#%, #%]")
def point_told(r: Recomputed, model: str, images: str) -> Values:
    return list(r.points[*model_of(model), r.with_images(images)])


@STUDY.says(*("{model}: " + ", ".join(["#% with # images"] * points) for points in range(8, 0, -1)))
def curve_in_words(r: Recomputed, model: str) -> Values:
    own = sorted((m[2], ends[0]) for m, ends in r.points.items() if m[:2] == model_of(model))
    return [number for fraction, value in own for number in (value, r.images[fraction])]


@STUDY.says("{a} goes from #% with # images to #% with #")
def rise(r: Recomputed, a: str) -> Values:
    found: Values = []
    for fraction in (min(r.images), max(r.images)):
        found += [r.accuracy(a, "tuned", fraction), r.images[fraction]]
    return found


def measured_range(r: Recomputed) -> list[int]:
    return [min(r.images.values()), max(r.images.values())]


def leads(r: Recomputed, model: str, rival: str, leader: str) -> None:
    """Whether one leads at all sizes."""
    other = rival if leader == model else model
    for fraction in r.images:
        assert r.accuracy(*model_of(leader), fraction) >= r.accuracy(*model_of(other), fraction)


@STUDY.says(
    "{model} and {rival} do not cross: none in range, {model2} is ahead between # and # training "
    "images; {b} is ahead somewhere there in #% of resamples"
)
def no_crossing(r: Recomputed, model: str, rival: str, model2: str, b: str) -> Values:
    leads(r, model, rival, model2)
    assert b == model_of(rival if model2 == model else model)[0]
    found, _, _, share = r.crossing(model_of(model), model_of(rival))
    assert not found
    return [*measured_range(r), share]


@STUDY.says(
    "{model} and {rival} cross at about {rest} training images ( {values}): {model2} is ahead with "
    "the fewest, {rival2} with the most"
)
def crossing(r: Recomputed, model: str, rival: str, **told: str) -> Values:
    found, low, high, _ = r.crossing(model_of(model), model_of(rival))
    assert told["rest"] == " and ".join(map(about, found)), found
    fewest, most = measured_range(r)
    start = about(low) if low else f"fewer than {fewest:,}"
    end = f"more than {most:,}" if high == inf else about(high)
    assert told["values"] == f"{start} to {end}", (start, end)
    for leader, fraction in ((told["model2"], min(r.images)), (told["rival2"], max(r.images))):
        other = rival if leader == model else model
        assert r.accuracy(*model_of(leader), fraction) > r.accuracy(*model_of(other), fraction)
    return []


@STUDY.says("{model} and {rival} cross at about {rest} training images (no interval: more than one")
def crossings(r: Recomputed, model: str, rival: str, rest: str) -> Values:
    found = r.crossing(model_of(model), model_of(rival))[0]
    assert rest == " and ".join(map(about, found))
    assert len(found) > 1
    return []


@STUDY.says("{model} needs about # training images to reach what {rival} reaches with {images}.")
def needs(r: Recomputed, model: str, rival: str, images: str) -> Values:
    needed = needed_images(r, model, rival, images)
    assert 0 < needed < inf
    return [Digits(needed, 2)]


@STUDY.says(
    "{model} needs more than # training images to reach what {rival} reaches with {images}."
)
def needs_more(r: Recomputed, model: str, rival: str, images: str) -> Values:
    assert needed_images(r, model, rival, images) == inf
    return [max(r.images.values())]


@STUDY.says("{model} needs at most # training images to reach what {rival} reaches with {images}.")
def needs_at_most(r: Recomputed, model: str, rival: str, images: str) -> Values:
    return [-needed_images(r, model, rival, images)]


def needed_images(r: Recomputed, model: str, rival: str, images: str) -> float:
    goal = r.accuracy(*model_of(rival), r.with_images(images))
    return r.images_to_reach(model_of(model)[0], goal)
