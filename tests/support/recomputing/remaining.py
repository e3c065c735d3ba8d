"""How long a study that runs will take, from what it took so far."""

import itertools

import pandas as pd

from recomputing.search_results import Recomputed
from recomputing.tested import KEY


def finals_left(r: Recomputed) -> list[tuple[str, float]]:
    """Family and share of each final run that was not tested; all roles before the choice."""
    tested = {tuple(row) for row in r.final[KEY].itertuples(index=False)}
    found, settings = [], r.settings
    for family, share in itertools.product(r.families, settings["train_fractions"]):
        chosen = r.study.get("choice", {}).get(r.search_behind(family, share), {})
        roles = ("baseline",) if chosen.get("baseline_won") else ("baseline", "tuned")
        for role, seed in itertools.product(roles, range(settings["seeds"])):
            if (family, role, share, seed) not in tested and (chosen or "choice" not in r.study):
                found.append((family, share))
    return found


def seconds_left(r: Recomputed) -> float:
    """Wall seconds from the last report to the end."""
    cluster, epochs = r.study["cluster"], r.settings["epochs"]
    most = max(r.settings["train_fractions"])
    heard = pd.concat([r.epochs, r.final_epochs]).groupby("trial_id").reported_at.max()
    now = (r.final_epochs if len(r.final_epochs) else r.epochs).reported_at.iloc[-1]
    rows = r.trials.assign(
        wall=r.trials.device_seconds / (cluster["gpus_per_trial"] or cluster["cpus_per_trial"]),
        took=r.trials.trial_id.map(r.epochs.groupby("trial_id").epoch_seconds.sum()),
        whole=r.trials.epochs_run * r.trials.train_fraction / most,
    )
    began, over = rows[rows.epochs_run > 0], rows[rows.status != "running"]
    each = (began.took / began.whole).groupby(began.family).mean()
    beside = (over.wall - over.took).groupby(over.family).mean().clip(lower=0)
    waits = (over.ended_at - over.started_at).dt.total_seconds() - over.wall
    start = beside + max(0.0, waits[over.attempts == 1].median())

    def rest(family: str, trial_id: str, left: float, share: float) -> float:
        """What is left of a training that has been heard of, or of a whole one."""
        epoch = share / most * each[family]
        if trial_id not in heard.index:
            return start[family] + left * epoch
        passed = (now - heard[trial_id]).total_seconds()
        return left * epoch - min(max(0.0, passed), min(1.0, left) * epoch)

    def usual(family: str, done: int) -> float:
        proposed = over[over.role != "baseline"]
        own = proposed[proposed.family == family]
        lengths = (own if len(own) else proposed).epochs_run
        further = lengths[lengths > done]
        return further.mean() if len(further) else epochs

    search = []
    for name, (family, share) in r.searches.items():
        own = r.of_search[name]
        for row in own[own.status == "running"].itertuples():
            end = epochs if row.role == "baseline" else usual(family, row.epochs_run)
            search.append(rest(family, row.trial_id, end - row.epochs_run, share))
        new = rest(family, "", usual(family, 0), share)
        search += [new] * (r.settings["trials"] - len(own))
    finals = [rest(family, "", epochs, share) for family, share in finals_left(r)]
    at_a_time = cluster["max_concurrent"]
    return sum(max(sum(own) / at_a_time, max(own, default=0.0)) for own in (search, finals))
