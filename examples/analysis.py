"""Five questions to a finished study, answered from its tables with pandas, DuckDB and Polars.

    python examples/analysis.py results/NAME

Each table is one Parquet file, so any tool that reads Parquet will do. Question 2 is answered with
all three, to show that they see the same; the others with the one that says it most plainly.
DuckDB and Polars come with `pip install duckdb polars`.
"""

import argparse
from pathlib import Path

import duckdb
import pandas as pd
import polars as pl

METRIC_POINTS = 100
"""Accuracies are fractions in the tables; people read them in points."""


def best_family(folder: Path) -> pd.DataFrame:
    """1. Which family is best, and by how much? With pandas.

    Returns:
        The tuned families at the largest train fraction, best first, with what each is behind the
        best and the 95% interval of that, in points.
    """
    final = pd.read_parquet(folder / "final.parquet")
    largest = final["train_fraction"].max()
    tuned = final[(final["role"] == "tuned") & (final["train_fraction"] == largest)]
    accuracy = tuned.groupby("family", observed=True)["test_accuracy"].mean()
    table = accuracy.sort_values(ascending=False).to_frame("test_accuracy").reset_index()
    best = table["family"].iloc[0]

    pairs = pd.read_parquet(folder / "comparison.parquet")
    pairs = pairs[
        (pairs["train_fraction"] == largest)
        & pairs["seed"].isna()  # null: the means over seeds
        & (pairs["metric"] == "accuracy")
        & (pairs["a_role"] == "tuned")
        & (pairs["b_role"] == "tuned")
    ]
    # A pair stands once, as a - b. Turned round where needed, so that it is always best - other.
    ours = pairs[pairs["a_family"] == best].rename(columns={"b_family": "family"})
    turned = pairs[pairs["b_family"] == best].rename(
        columns={"a_family": "family", "ci_low": "ci_high", "ci_high": "ci_low"}
    )
    columns = ["difference", "ci_low", "ci_high"]
    turned[columns] = -turned[columns]
    behind = pd.concat([ours, turned])[["family", *columns]].astype({"family": str})
    behind[columns] *= METRIC_POINTS
    return table.astype({"family": str}).merge(behind, on="family", how="left")


GAIN = """
    SELECT family,
           avg(test_accuracy) FILTER (role = 'tuned')
             - avg(test_accuracy) FILTER (role = 'baseline') AS gain
    FROM read_parquet($final)
    WHERE train_fraction = (SELECT max(train_fraction) FROM read_parquet($final))
    GROUP BY family ORDER BY family
"""


def gain_with_pandas(folder: Path) -> dict[str, float]:
    """2. What did tuning gain over the baseline, on the test images? With pandas."""
    final = pd.read_parquet(folder / "final.parquet")
    final = final[final["train_fraction"] == final["train_fraction"].max()]
    means = final.pivot_table("test_accuracy", "family", "role", observed=True)
    return dict((means["tuned"] - means["baseline"]).sort_index())


def gain_with_duckdb(folder: Path) -> dict[str, float]:
    """2. The same with DuckDB."""
    final = str(folder / "final.parquet")
    return dict(duckdb.execute(GAIN, {"final": final}).fetchall())


def gain_with_polars(folder: Path) -> dict[str, float]:
    """2. The same with Polars."""
    accuracy, role = pl.col("test_accuracy"), pl.col("role").cast(pl.String)
    gains = (
        pl.read_parquet(folder / "final.parquet")
        .filter(pl.col("train_fraction") == pl.col("train_fraction").max())
        .group_by(pl.col("family").cast(pl.String))
        .agg(
            gain=accuracy.filter(role == "tuned").mean()
            - accuracy.filter(role == "baseline").mean()
        )
        .sort("family")
    )
    return dict(gains.iter_rows())


COST = """
    SELECT family, count(*) AS trials, sum(epochs_run) AS epochs,
           round(sum(device_seconds), 1) AS device_seconds,
           round(100 * sum(device_seconds) / sum(sum(device_seconds)) OVER (), 1) AS percent
    FROM read_parquet($trials)
    GROUP BY family ORDER BY device_seconds DESC
"""


def cost(folder: Path) -> duckdb.DuckDBPyRelation:
    """3. What did the search of each family cost? With DuckDB."""
    return duckdb.sql(COST, params={"trials": str(folder / "trials.parquet")})


def telling_hyperparameters(folder: Path) -> pl.DataFrame:
    """4. Which hyperparameters separate good trials from bad? With Polars.

    Returns:
        Spearman's rank correlation of each numeric hyperparameter with the best validation accuracy
        among a family's trials, strongest first. Few trials make large correlations by chance.
    """
    trials = pl.read_parquet(folder / "trials.parquet").filter(
        pl.col("validation_accuracy").is_not_null()
    )
    numeric = [
        name
        for name, kind in trials.schema.items()
        if name.startswith("param_") and kind.is_numeric()
    ]
    found = []
    for (family,), own in trials.group_by([pl.col("family").cast(pl.String)], maintain_order=True):
        for name in numeric:
            values = own.select(name, "validation_accuracy").drop_nulls()
            # What was never varied, or is no hyperparameter of this family, can tell nothing.
            if values[name].n_unique() > 1 and values["validation_accuracy"].n_unique() > 1:
                rho = values.select(pl.corr(*values.columns, method="spearman")).item()
                found.append((family, name.removeprefix("param_"), rho, len(values)))
    columns = {"family": pl.String, "hyperparameter": pl.String, "rank_correlation": pl.Float64}
    table = pl.DataFrame(found, schema={**columns, "trials": pl.Int64}, orient="row")
    return table.sort(pl.col("rank_correlation").abs(), descending=True)


ALWAYS_WRONG = """
    SELECT image_index, any_value(label) AS label, mode(predicted) AS mostly_taken_for,
           count(*) AS runs
    FROM read_parquet($predictions)
    WHERE role = 'tuned'
    GROUP BY image_index HAVING bool_and(predicted <> label) ORDER BY image_index
"""


def always_wrong(folder: Path) -> duckdb.DuckDBPyRelation:
    """5. Which test images does every tuned model get wrong, at each seed? With DuckDB."""
    return duckdb.sql(ALWAYS_WRONG, params={"predictions": str(folder / "predictions.parquet")})


def main() -> None:
    """Prints the five answers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", metavar="RESULTS", type=Path, help="a finished study's folder")
    folder = parser.parse_args().results

    print("1. Which tuned family is best, and by how many points is each other behind it?")
    print(best_family(folder).to_string(index=False, na_rep="", float_format="{:.3f}".format))

    print("\n2. What did tuning gain over the baseline on the test images, in points?")
    for gains in (gain_with_pandas, gain_with_duckdb, gain_with_polars):
        shown = {name: f"{METRIC_POINTS * gain:+.2f}" for name, gain in gains(folder).items()}
        print(f"{gains.__name__.removeprefix('gain_with_'):>7}: {shown}")

    print("\n3. What did the search of each family cost?")
    print(cost(folder))

    print("4. Which hyperparameters separate good trials from bad? (rank correlation)")
    print(telling_hyperparameters(folder).head(8))

    print("\n5. Which test images does every tuned model get wrong?")
    wrong = always_wrong(folder)
    print(f"{len(wrong)} images; the first of them:")
    print(wrong.limit(5))


if __name__ == "__main__":
    main()
