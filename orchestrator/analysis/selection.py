"""Whether the families were treated alike: gain over the baseline, luck and optimism."""

from collections.abc import Iterator, Sequence
from math import comb
from typing import Final

import numpy as np
import pandas as pd

from orchestrator.analysis.budget_use import budget_use_section, measure_budget_use
from orchestrator.analysis.formats import alike, number, points, share, words
from orchestrator.analysis.section import Section
from orchestrator.analysis.test_results import in_words
from orchestrator.cli import counted
from orchestrator.results.schema import ROLES
from orchestrator.results.states import MAY_WIN
from orchestrator.results.study_record import StudyRecord

CHOICE: Final = (
    *("family", "trials", "without", "baseline", "winner"),
    *("search_validation", "validation", "test"),
)


def expected_best(values: Sequence[float], k: int) -> float:
    """The exact expectation of the best of k of the trials' values drawn without replacement.

    The i-th smallest of n values is the best in C(i-1, k-1) of the C(n, k) draws. Source of the
    question: Dodge et al. (2019), Show Your Work, which draws with replacement; without, the
    estimate has no bias (Tang et al. 2020).

    Raises:
        ValueError: k is not from 1 to the number of values.
    """
    n = len(values)
    if not 1 <= k <= n:
        raise ValueError(f"`1 <= k <= number of values` must hold, but got (k={k}, values={n})")
    draws = comb(n, k)
    return sum(value * (comb(i, k - 1) / draws) for i, value in enumerate(sorted(values)))


def can_win(trials: pd.DataFrame) -> pd.DataFrame:
    """Trials that can win, the winner first: ties by lower loss, then by trial_id."""
    eligible = trials[trials["status"].isin(MAY_WIN) & trials["validation_accuracy"].notna()]
    return eligible.sort_values(
        ["objective", "validation_loss", "trial_id"], ascending=[False, True, True]
    )


def describe_selection(
    families: Sequence[str], trials: pd.DataFrame, final: pd.DataFrame
) -> pd.DataFrame:
    """What each search chose, and how that held up in the finals.

    Returns:
        `family`, `trials` that can win (a stopped one counts with its best so far), `without` that
        cannot, `winner`, its `search_validation` accuracy, that of the `baseline` and the `gain`
        over it; of its re-trainings at the fraction searched at, means over seeds: `validation`
        and `test` accuracy; `search_optimism` and `final_optimism`, validation minus test.
    """
    rows = []
    for family in families:
        own = trials[trials["family"] == family]
        best = can_win(own)
        winner = best[["trial_id", "validation_accuracy"]].iloc[0] if len(best) else (None, np.nan)
        baselines = own.loc[own["role"] == ROLES[0], "validation_accuracy"].dropna()
        fractions = own["train_fraction"].unique()  # one: that it was searched at
        of_winner = final[
            (final["family"] == family)
            & (final["role"] == ROLES[1])
            & final["train_fraction"].isin(fractions)
        ]
        baseline = baselines.iloc[0] if len(baselines) else np.nan
        means = [of_winner[f"{part}_accuracy"].mean() for part in ("validation", "test")]
        rows.append((family, len(best), len(own) - len(best), baseline, *winner, *means))
    table = pd.DataFrame(rows, columns=list(CHOICE))
    return table.assign(
        gain=table["search_validation"] - table["baseline"],
        search_optimism=table["search_validation"] - table["test"],
        final_optimism=table["validation"] - table["test"],
    )


def fairness_sections(
    study: StudyRecord, trials: pd.DataFrame, final: pd.DataFrame
) -> Iterator[Section]:
    """What each family was given, gained, and promised too much."""
    families, measure = study.settings.families, in_words(study.settings.objective)
    by = "it, so its gain is too large rather than too small"
    if measure != "accuracy":
        by = f"validation {measure}, so another may have a higher accuracy"
    table = describe_selection(families, trials, final)
    yield budget_use_section(study, measure_budget_use(families, trials, final))
    yield Section(
        key="effort/choice",
        title="What each search chose, and whether it held",
        table=table,
        formats={
            **alike(words, "family"),
            **alike(number, "trials"),
            "left out": number("without"),
            "best trial": words("winner"),
            **alike(share, "baseline"),
            "best": share("search_validation"),
            "gain (points)": points("gain"),
            "re-trained": share("validation"),
            "on test": share("test"),
            "search optimism (points)": points("search_optimism"),
            "re-trained optimism (points)": points("final_optimism"),
        },
        notes=(
            f"Validation accuracy, but where it says test. The best trial was chosen by {by}: its "
            "optimism is validation minus test. Left out are trials that diverged, failed or have "
            "not ended.",
        ),
    )
    best = can_win(trials)
    candidates = {
        family: best.loc[best["family"] == family, "validation_accuracy"].to_list()
        for family in families
    }
    most = max(map(len, candidates.values()), default=0)
    if not most:
        return
    draws = [2**power for power in range(most.bit_length())]
    yield Section(
        key="effort/luck",
        title="Expected best of k trials",
        table=pd.DataFrame(
            {"family": family, "trials": len(values)}
            | {f"k={k}": expected_best(values, k) if k <= len(values) else np.nan for k in draws}
            for family, values in candidates.items()
        ),
        formats={
            **alike(words, "family"),
            **alike(number, "trials"),
            **{f"k={k}": share(f"k={k}") for k in draws},
        },
        notes=(
            "The exact expectation of the best validation accuracy among k of the search's trials "
            "drawn without replacement (after Dodge et al. 2019), baseline included: a description "
            "of this search, whose later trials learned from the earlier ones.",
        ),
    )


def probe_sections(study: StudyRecord, trials: pd.DataFrame) -> Iterator[Section]:
    """What frozen networks were worth before the search, where a study was asked to probe them."""
    if not study.probe:
        return
    best = trials.groupby("family")["validation_accuracy"].max().dropna().to_dict()
    rows = [{**dict(each), "searched": best.get(each.family)} for each in study.probe]
    first = study.probe[0]
    yield Section(
        key="fairness/probe",
        title="What the frozen networks knew before the search",
        table=pd.DataFrame(rows),
        formats={
            "family": words("family"),
            "linear layer": share("linear_accuracy"),
            "nearest neighbours": share("knn_accuracy"),
            "best trial of the search": share("searched"),
        },
        notes=(
            f"Accuracy on {counted(first.validation_images, 'validation image')}, after a look at "
            f"{counted(first.train_images, 'training image')} without training any of the network; "
            "of the search's best trial on all validation images.",
        ),
        place="document",
    )
