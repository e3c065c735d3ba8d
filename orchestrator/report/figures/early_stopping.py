"""Early stopping: who survived each rung, whether early ranks held, and what was saved."""

from collections.abc import Sequence
from typing import Any

from orchestrator.analysis.early_stopping import correlate_ranks, estimate_savings, summarize_rungs
from orchestrator.analysis.section import count, percent
from orchestrator.report.chart import Axis, Bars, Chart, Line, Panel, Points, whole_numbers
from orchestrator.report.inputs import Inputs
from orchestrator.report.style import search_looks

Rows = Sequence[Any]
"""Of a pandas table, as named tuples."""


def figure(inputs: Inputs) -> Chart | None:
    """Three panels over all searches; None before the first arrival at a rung."""
    tables, last_epoch = inputs.by_search, inputs.study.settings.epochs
    rungs = list(summarize_rungs(tables["rungs"]).itertuples())
    if not rungs:
        return None
    ranks = correlate_ranks(tables["rungs"], tables["epochs"], last_epoch=last_epoch)
    known = list(ranks.dropna().itertuples())
    savings = list(estimate_savings(tables["trials"], last_epoch=last_epoch).itertuples())
    panels = [_survival(inputs, rungs, savings), _savings(inputs, savings)]
    if known:
        panels.insert(1, _ranks(inputs, known))
    return Chart(
        key="early-stopping",
        title="Survivors, ranks and savings",
        finding=_finding(savings),
        alt=_alt(rungs, known, savings),
        panels=panels,
    )


def _survival(inputs: Inputs, rungs: Rows, savings: Rows) -> Panel:
    looks = search_looks(inputs.study.searches)
    trials = {saving.family: saving.trials for saving in savings}
    marks = []
    for (name,), own in _by_family(rungs):
        went_on = [trials[name], *(rung.arrivals - rung.stopped for rung in own)]
        x = [0, *(rung.rung for rung in own)]
        labels = [f"{name}: {trials[name]} trials began"] + [
            f"{name}, epoch {rung.rung}: {rung.arrivals - rung.stopped} of {rung.arrivals} went on"
            for rung in own
        ]
        marks.append(
            Line(
                x=x,
                y=went_on,
                colour=looks[name][0],
                symbol=looks[name][1],
                label=name,
                step=True,
                hover=labels,
            )
        )
    return Panel(
        title="Trials that went on after each rung",
        marks=marks,
        x=Axis(title="epoch", ticks=whole_numbers(max(rung.rung for rung in rungs))),
        y=Axis(
            title="trials",
            limits=(0, 1.08 * max(trials.values())),
            ticks=whole_numbers(max(trials.values())),
        ),
    )


def _by_family(rungs: Rows) -> list[tuple[tuple[str], Rows]]:
    names = dict.fromkeys(rung.family for rung in rungs)
    return [((name,), [rung for rung in rungs if rung.family == name]) for name in names]


def _ranks(inputs: Inputs, known: Rows) -> Panel:
    looks = search_looks(inputs.study.searches)
    spans = sorted({(each.earlier, each.later) for each in known})
    names = list(dict.fromkeys(each.family for each in known))
    marks = []
    for place, name in enumerate(names):
        own = [each for each in known if each.family == name]
        shift = 0.25 * (place - (len(names) - 1) / 2)
        marks.append(
            Points(
                x=[each.rho for each in own],
                y=[-spans.index((each.earlier, each.later)) - shift for each in own],
                colour=looks[name][0],
                symbol=looks[name][1],
                label=name,
                hover=[
                    f"{name}: rho {each.rho:z.2f} over {each.trials} trials\n"
                    f"epoch {each.earlier} against epoch {each.later}"
                    for each in own
                ],
            )
        )
    return Panel(
        title="Do early ranks hold? Spearman's rho",
        marks=marks,
        x=Axis(title="rank correlation", limits=(min(-0.05, *(e.rho for e in known)), 1.05)),
        y=Axis(
            ticks={-i: f"epoch {a} → {b}" for i, (a, b) in enumerate(spans)},
            limits=(0.6 - len(spans), 0.6),
        ),
    )


def _savings(inputs: Inputs, savings: Rows) -> Panel:
    looks = search_looks(inputs.study.searches)
    places = {saving.family: -i for i, saving in enumerate(savings)}
    marks = []
    for saving in savings:
        colour, where = looks[saving.family][0], [places[saving.family]]
        for hollow, start, length, what in (
            (False, 0, saving.epochs_run, "epochs run"),
            (True, saving.epochs_run, saving.epochs_saved, "epochs saved"),
        ):
            marks.append(
                Bars(
                    y=where,
                    start=[start],
                    length=[length],
                    colour=colour,
                    hollow=hollow,
                    hover=[f"{saving.family}: {count(length)} {what}"],
                )
            )
    return Panel(
        title="Epochs run, saved (outlined)",
        marks=marks,
        x=Axis(title="epochs"),
        y=Axis(
            ticks={place: name for name, place in places.items()},
            limits=(0.6 - len(savings), 0.6),
        ),
    )


def _finding(savings: Rows) -> str:
    run, saved = (sum(getattr(s, f"epochs_{what}") for s in savings) for what in ("run", "saved"))
    stopped, trials = sum(s.stopped for s in savings), sum(s.trials for s in savings)
    return (
        f"{count(stopped)} of {count(trials)} trials were stopped early, which saved "
        f"{count(saved)} of {count(run + saved)} epochs ({percent(saved / (run + saved or 1), 0)})."
    )


def _alt(rungs: Rows, known: Rows, savings: Rows) -> str:
    parts = [
        f"{rung.family}: {rung.arrivals - rung.stopped} of {rung.arrivals} trials went on after "
        f"epoch {rung.rung}"
        for rung in rungs
    ]
    parts += [
        f"{each.family}: rank correlation {each.rho:z.2f} from epoch {each.earlier} to {each.later}"
        for each in known
    ]
    parts += [f"{s.family}: {s.epochs_run} epochs run, {s.epochs_saved} saved" for s in savings]
    return f"{'; '.join(parts)}."
