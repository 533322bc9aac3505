"""Judgement of a table of runs that something else made: its numbers, what they say, and how to print it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from studies.analysis.run_tables import compare_levels, compare_variants
from studies.analysis.tables import compute_tables
from studies.data.runs.given import Given
from studies.data.runs.remarks import describe
from studies.data.runs.runs import Runs, read_runs, runs_from_frame
from studies.seeds import digest
from studies.spec.study import Study
from studies.spec.table import study_of
from studies.store.table_rows import rows_of_table


@dataclass(frozen=True)
class Judgement:
    """A table of runs, judged.

    Attributes:
        runs: The runs, with the role of each column.
        variants: One row per variant: means, counts, the difference from the baseline with interval, p and test.
        levels: One row per level of each factor, compared at equal other factors; empty for one factor.
    """

    runs: Runs
    variants: pd.DataFrame
    levels: pd.DataFrame

    @property
    def read(self) -> list[str]:
        """Sentences on how the table was read."""
        return describe(self.runs)

    @property
    def sentences(self) -> list[str]:
        """Sentences on what the runs show, do not show, and cannot tell."""
        from studies.show import judged

        return judged.sentences(self.runs, self.variants)

    @property
    def study(self) -> Study:
        """The study of these runs, as `ablation tables` takes it."""
        content = digest(self.runs.table.to_csv(), 16)
        return study_of("judged", Path("runs.csv"), self.runs, Given(), {"title": "Judged"}, content)

    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables of a study of these runs, by name."""
        return compute_tables(self.study, rows_of_table(self.study))

    def figures(self, folder: str | Path) -> dict[str, Path | str]:
        """Draw the pictures of a study of these runs in a folder: the path of each by name, or why there is none."""
        from studies.show.figures import draw_study  # with matplotlib, which takes a second to import

        return draw_study(self.study, self.tables(), Path(folder))

    def __str__(self) -> str:
        return "\n".join([*self.read, *self.sentences])


def judge_runs(runs: Runs) -> Judgement:
    """The judgement of runs."""
    return Judgement(runs, compare_variants(runs), compare_levels(runs))


def judge(
    rows: str | Path | pd.DataFrame,
    *,
    variant: str = "",
    factors: Sequence[str] = (),
    measure: str = "",
    name: str = "",
    better: str = "",
    unit: str = "",
    repeat: str = "",
    block: str = "",
    fold: str = "",
    test_share: float | None = None,
    baseline: str = "",
    n: int | str | None = None,
    sd: str = "",
) -> Judgement:
    """Judge a table of runs that something else made.

    Parameters
    ----------
    rows
        The path of a CSV file, or a DataFrame: one row per run, or an export of scikit-learn, Optuna, MLflow or W&B.
    variant, factors
        The column that names whole variants, or those of the factors that were varied.
    measure, name, better, unit
        The column to judge by, its name for readers, its better direction ("lower" or "higher"), and its unit.
    repeat, block, fold
        The columns that pair runs: a seed or an item, a data set, a fold.
    test_share
        n_test / n_train of folds.
    baseline
        The variant that the others are compared with.
    n, sd
        Number of runs behind a mean, or its column; the column of their sd.

    Returns
    -------
    Judgement
        `variants` and `levels` are DataFrames, `sentences` what they say, `read` how the table was read.

    Raises
    ------
    UserError
        The table cannot be read, or a guess would be wrong: the error says which argument to add.
    """
    given = Given(
        variant, tuple(factors), measure, name, better, unit, repeat, block, fold, test_share, baseline, n, sd
    )  # fmt: skip
    runs = runs_from_frame(rows, given) if isinstance(rows, pd.DataFrame) else read_runs(Path(rows), given)
    return judge_runs(runs)
