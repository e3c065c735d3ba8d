"""The answer, the facts below it, and the warnings above all."""

from recomputing.cells.registry import scaled
from recomputing.rules import STUDY, Values
from recomputing.study import Recomputed
from recomputing.words import model_of, moment, seconds


@STUDY.says(
    "{a} is the most accurate of #: #% on the test set, # percentage points above {b} "
    "( # to #, which )",
    "Of these # trained networks, compared by one training each, that of {a} is the most accurate: "
    "#% on the test set, # percentage points above that of {b} ( # to #, which )",
)
def best_of_all(r: Recomputed, a: str, b: str) -> Values:
    assert r.ranked[:2] == [a, b]
    found = scaled(r.difference((a, "tuned"), (b, "tuned")))
    assert found[1] > 0
    return [len(r.ranked), r.accuracy(a, "tuned"), *found]


@STUDY.says(
    "The two best cannot be told apart: {a} is right on #% of the test images and {b} on #%, a "
    "difference of # percentage points ( # to #, which )"
)
def not_told_apart(r: Recomputed, a: str, b: str) -> Values:
    assert r.ranked[:2] == [a, b]
    found = scaled(r.difference((a, "tuned"), (b, "tuned")))
    assert found[1] <= 0 <= found[2]
    return [r.accuracy(a, "tuned"), r.accuracy(b, "tuned"), *found]


@STUDY.says(
    "Of these # trained networks, compared by one training each, the two best cannot be told "
    "apart: that of {a} is right on #% of the test images and that of {b} on #%, a difference of # "
    "percentage points ( # to #, which )"
)
def networks_not_told_apart(r: Recomputed, a: str, b: str) -> Values:
    return [len(r.ranked), *not_told_apart(r, a, b)]


@STUDY.says(
    *(
        f"Nothing to compare: {{a}} alone was tested; {tuned}, it is right on #% of the test images"
        for tuned in ("tuned", "tuned and trained once")
    )
)
def alone(r: Recomputed, a: str) -> Values:
    assert r.ranked == [a]
    return [r.accuracy(a, "tuned")]


@STUDY.says("Measured on # test images after training on #; means over # trainings each")
def measured_on(r: Recomputed) -> Values:
    (tested,) = {len(own) for own in r.runs.values()}
    (seeds,) = {len(r.of_model(a, "tuned")) for a in r.ranked}
    return [tested, r.images[r.largest], seeds]


@STUDY.says("Measured on # test images after training on #; one training each")
def measured_once(r: Recomputed) -> Values:
    assert {len(r.of_model(a, "tuned")) for a in r.ranked} == {1}
    return measured_on(r)[:2]


@STUDY.says("{a} #, since its best trial is the baseline")
def nothing_gained(r: Recomputed, a: str) -> Values:
    assert r.is_baseline(a, r.largest)
    return [0]


@STUDY.says("the study is {word}; # of # trials have ended and the finals have not begun")
def progress(r: Recomputed, word: str) -> Values:
    assert word in ("running", "interrupted", "failed")
    ended = r.trials.status.isin(["stopped", "completed", "failed", "diverged"]).sum()
    return [ended, r.settings["trials"] * len(r.searches)]


@STUDY.says("the study is {word}; # of # trials have ended and # of # final runs are done")
def progress_of_finals(r: Recomputed, word: str) -> Values:
    runs = r.finals_to_do()
    return [*progress(r, word), sum(done for *_, done in runs), len(runs)]


@STUDY.says("If it goes on as so far, about # {unit} are left")
def left(r: Recomputed, unit: str) -> Values:
    return seconds(r.seconds_left(), unit)


@STUDY.says("images: # train, # validation, # test")
def images(r: Recomputed) -> Values:
    (tested,) = set(r.final.test_images)
    return [*images_untested(r), tested]


@STUDY.says("images: # train, # validation")
def images_untested(r: Recomputed) -> Values:
    return [r.study["dataset"][f"{part}_images"] for part in ("train", "validation")]


@STUDY.says("classes: #")
def number_of_classes(r: Recomputed) -> Values:
    return [len(r.classes)]


@STUDY.says(
    *(
        f"search: # trial{s} of # famil{y}, at most # epoch{e} each"
        for s in ("s", "")
        for y in ("ies", "y")
        for e in ("s", "")
    )
)
def searched(r: Recomputed) -> Values:
    return [len(r.trials), len(r.families), r.settings["epochs"]]


@STUDY.says(
    "finals: {n} seed{word} at train fraction{rest}$", "finals: {n} seed at train fraction{rest}$"
)
def finals(r: Recomputed, n: str, rest: str, word: str = "") -> Values:
    fractions = r.settings["train_fractions"]
    listed = ", ".join(f"{each:g}" for each in fractions)
    assert (n, rest) == (str(r.settings["seeds"]), f"{'s' * (len(fractions) > 1)} {listed}")
    assert bool(word) == (r.settings["seeds"] > 1)
    return []


@STUDY.says("device time: # {unit}")
def device_time(r: Recomputed, unit: str) -> Values:
    final = r.final.drop_duplicates("trial_id")
    return seconds(r.trials.device_seconds.sum() + final.device_seconds.sum(), unit)


@STUDY.says("started: {rest} UTC")
def started(r: Recomputed, rest: str) -> Values:
    assert rest == moment(r.study["started_at"])
    return []


@STUDY.says("ended: {rest} UTC")
def ended(r: Recomputed, rest: str) -> Values:
    assert rest == moment(r.study["ended_at"])
    return []


@STUDY.says("opened # times, for different choices")
def opened(r: Recomputed) -> Values:
    return [r.study["test_openings"]]


@STUDY.says("{a}: no trial finished ({rest}), so the family has no winner")
def none_finished(r: Recomputed, a: str, rest: str) -> Values:
    counts = r.trials[r.trials.family == a].status.value_counts()
    if rest == "none was started":
        assert not len(counts)
        return []
    parts = {part.split(" ", 1)[1]: int(part.split()[0]) for part in rest.split(", ")}
    assert parts == counts.to_dict()
    return []


@STUDY.says("{model}: only # of # final runs completed")
def missing_runs(r: Recomputed, model: str) -> Values:
    own = r.final[(r.final.family + " " + r.final.role) == model]
    return [len(own), r.settings["seeds"] * len(r.settings["train_fractions"])]


@STUDY.says("{a}: the baseline deviates from the standard one: {rest}.$")
def deviates(r: Recomputed, a: str, rest: str) -> Values:
    deviations = r.study["baseline_deviations"][a].items()
    listed = (f"{name} {used} instead of {standard}" for name, (used, standard) in deviations)
    assert rest == ", ".join(listed)
    return []


@STUDY.says("{model} at train fraction {fraction} leaves classes that it never predicts, {rest};")
def never_predicted(r: Recomputed, model: str, fraction: str, rest: str) -> Values:
    own = r.of_model(*model_of(model), r.at(fraction)).sort_values("seed")
    listed = [f"{each.never} with seed {each.seed}" for each in own.itertuples() if each.never]
    assert rest == ", ".join(listed)
    return []


@STUDY.says("{model} never predicts {rest}: that")
def never_said(r: Recomputed, model: str, rest: str) -> Values:
    said = r.confusion(model_of(model)[0]).sum(axis=0)
    never = [name for name, images in zip(r.classes, said, strict=True) if not images]
    assert rest == " ".join(", ".join(never).split())
    return []
