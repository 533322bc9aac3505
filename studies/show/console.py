"""Tables printed on a terminal."""

from collections.abc import Sequence

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from studies.analysis.tables import Tables
from studies.show import texts
from studies.show.tables import list_shown, remembered
from studies.spec.study import Study


def print_tables(study: Study, tables: Tables, console: Console) -> None:
    """Print best and worst configurations, levels, effects, single changes, and the three sentences to remember."""
    for each in list_shown(study, tables):
        texts = (each.table.columns[0], "level", "configuration", "chosen", "usual", *study.factors)
        print_table(each.heading, each.table, texts, console)
    for sentence in remembered(study, tables):
        console.print(f"* {sentence}", markup=False, highlight=False)


def print_comparison(study: Study, table: pd.DataFrame, console: Console) -> None:
    """Print what `api.against` found, the lowest error first."""
    measure = study.measure
    told = texts.comparisons(table, table[["label", "config"]].set_axis(["configuration", "id"], axis=1), measure)
    title = (
        f"{measure.change[0].upper()}{measure.change[1:]} less that of {table['other_label'].iloc[0]}, and how likely it is "
        "better, equal within "
        f"{study.margin:g}{measure.points}, or worse ({study.sampling.words}{texts.visible(table['visible'], measure)})"
    )
    print_table(title, told, ("configuration", "id"), console)


def print_table(title: str, table: pd.DataFrame, texts: Sequence[str], console: Console) -> None:
    """Print a table of texts; the columns in `texts` to the left, numbers to the right."""
    # As Text: a label is a user's, and what stands in brackets would be taken for markup.
    printed = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in table.columns:
        printed.add_column(Text(column), justify="left" if column in texts else "right")
    for row in table.itertuples(index=False):
        printed.add_row(*map(Text, row))
    # A level cut short is of no use: a narrow terminal wraps the line instead.
    console.width = max(console.width, console.measure(printed, options=console.options.update(max_width=1000)).maximum)
    console.print(printed)
