"""What a study will run, printed: its families, their spaces, its budgets and its work."""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console

from orchestrator.cli import counted
from orchestrator.config.final_epochs import final_epochs
from orchestrator.config.samplers import RANDOM, STARTUP
from orchestrator.config.settings import Settings
from orchestrator.forecast.estimate import Forecast, cost_notes
from orchestrator.forecast.prices import DEFAULT
from orchestrator.forecast.workload import WholeWork, work_of
from orchestrator.plan.families import FamilyPlan
from orchestrator.terminal import fitting_table
from search_spaces.dimension import describe
from trainables import registry

COLUMNS: Final = ("dimension", "space", "baseline", "meaning")
FEW_STEPS: Final = 50
"""After which batch norm's running averages, of momentum 0.1, are what was seen to 99.5%."""


def print_plan(
    console: Console, plans: Sequence[FamilyPlan], settings: Settings, *, train_images: int | None
) -> None:
    """Prints the families, what is unusual about their baselines, and the forecast."""
    for plan in plans:
        console.print(f"{plan.name}: {registry.summary(plan.name)}")
        for name, (used, standard) in plan.deviations.items():
            console.print(f"  The baseline deviates: {name} is {used}, the standard is {standard}.")
        if plan.baseline_outside:
            names = ", ".join(plan.baseline_outside)
            console.print(
                f"  The baseline lies outside the narrowed space in {names}: it runs, but Optuna "
                "is not told of it."
            )
    work = work_of([plan.name for plan in plans], settings)
    slots = settings.max_concurrent or 1  # none: not known before Ray is asked
    for sentence in (
        *_asked(settings, work, len(plans)),
        *_few_steps(plans, settings, train_images),
        *(few_rounds(settings.trials, len(plans), slots) if settings.sampler != RANDOM else ()),
    ):
        console.print(sentence)
    of_images = "" if train_images is None else f" of {counted(train_images, 'image')}"
    least = f"{work.least_search_epochs:,} to "
    console.print(
        f"Search: {counted(work.search_trials, 'trial')}, "
        f"{least if work.least_search_epochs < work.search_epochs else ''}"
        f"{counted(work.search_epochs, 'epoch')}{of_images}. Finals: up to "
        f"{counted(work.final_runs, 'run')}, {counted(work.final_epochs, 'epoch')}."
    )


def learned(trials: int, at_a_time: int) -> int:
    """How many of a search's trials are proposed after ten have ended."""
    return max(0, trials - (at_a_time + STARTUP - 1))


def few_rounds(trials: int, families: int, slots: int) -> Iterator[str]:
    """A sentence where one trial at a time would let a search learn more than twice as much.

    The trials are those of each search; the searches of the families share the slots.
    """
    own = -(-slots // families)
    informed, most = learned(trials, own), learned(trials, 1)
    if 2 * informed >= most:
        return
    fewer = max(1, trials - STARTUP + 1 - -(-most // 2)) * families
    more = 2 * (own + STARTUP - 1) - STARTUP
    yield (
        f"Few rounds: of a family's {trials} trials {trials - informed} are random points, since "
        f"the search learns from trials that have ended, {STARTUP} or more, and {slots} run at a "
        f"time; one at a time would leave {trials - most}. --max-concurrent {fewer} or --trials "
        f"{more} would let it learn."
    )


def _few_steps(
    plans: Sequence[FamilyPlan], settings: Settings, train_images: int | None
) -> Iterator[str]:
    """Where a training is over before batch norm knows what images are like; a sentence."""
    if train_images is None:
        return
    steps = {
        plan.name: math.ceil(train_images / plan.baseline["batch_size"]) * settings.epochs
        for plan in plans
        if "batch_size" in plan.baseline
    }
    few = ", ".join(f"{name} {count:,}" for name, count in steps.items() if count < FEW_STEPS)
    if few:
        yield (
            f"Few steps: a whole training takes {few}. Batch norm needs some {FEW_STEPS} to "
            "know what images are like; until then validation may stay at chance whatever was "
            "learned. More --epochs, or smaller batches (space and baseline of batch_size), help."
        )


def _asked(settings: Settings, work: WholeWork, families: int) -> Iterator[str]:
    if settings.tune_per_fraction:
        yield (
            f"Tuned per fraction: {work.searches} searches in place of {families}. Those at "
            f"smaller fractions cost up to as much as {work.smaller_search_epochs:,.0f} epochs at "
            "the largest, beside their own baselines' and winners' finals, which run anyway."
        )
    if settings.equal_steps:
        first, *others = sorted(settings.train_fractions, reverse=True)
        listed = [f"{final_epochs(settings, share):,} at {share:g}" for share in others]
        searches = "; the searches at these keep theirs" if settings.tune_per_fraction else ""
        yield (
            f"Equal steps: finals train {settings.epochs:,} epochs at train fraction {first:g}, "
            f"{', '.join(listed)}{searches}. Each epoch ends with all validation images."
        )
    if hours := settings.budget_gpu_hours:
        yield (
            f"Budget: {hours:g} device-hours, {hours / families:.3g} for each family, finals "
            "included. A search ends earlier than below where its next trial would not leave "
            "enough for its finals."
        )
    if settings.time_budget:
        yield (
            f"Time budget: {settings.time_budget:g} hours of wall time, finals included. The "
            "search ends earlier than below where another trial would not leave enough for them."
        )


def print_spaces(console: Console, plans: Sequence[FamilyPlan]) -> None:
    """Prints what may vary: the dimensions that all families share once, then each one's own."""
    rows = {plan.name: [*_dimensions(plan)] for plan in plans}
    shared = set.intersection(*map(set, rows.values())) if len(plans) > 1 else set()
    alike = [row for row in rows[plans[0].name] if row in shared]
    tables = {"all families": alike} if alike else {}
    tables |= {name: [row for row in own if row not in shared] for name, own in rows.items()}
    for title, own in tables.items():
        console.print(f"\n{title}", style="bold")
        if own:
            console.print(fitting_table(COLUMNS, own, console.width, left=COLUMNS))
        else:
            console.print("nothing else")


def _dimensions(plan: FamilyPlan) -> Iterator[tuple[str, str, str, str]]:
    """Each dimension, what it may be here, its value in the baseline, and what it means."""
    family = registry.load_family(plan.name)
    optional = {name: dimension for name, (dimension, _) in family.optional.items()}
    meanings = {**family.search_space, **optional}
    for name, values in plan.space.items():
        yield name, describe(values), str(plan.baseline[name]), meanings[name].meaning


def print_cost(console: Console, forecast: Forecast, *, paid: bool) -> None:
    """Prints what a study will cost; of nodes that are paid for also which prices are missing."""
    if forecast.device_hours is not None and forecast.throughput is not None:
        types = forecast.throughput.device_names
        for sentence in cost_notes(forecast.prices, forecast.device_hours, types):
            console.print(sentence)
    for price in forecast.prices:
        if paid and price.per_hour is None:
            console.print(f"No price for {price.name}: fill in {DEFAULT}, or --set prices=FILE.")
