"""Commands that train one trial again, to look at it."""

from pathlib import Path

import click

from studies.cli import options
from studies.data.types import Split
from studies.spec.study import Study


@click.command()
@options.on_study
@click.argument("trial", required=False)
@options.figures
@click.option("--epochs", type=click.IntRange(1), help="Stop after that many; by default the trial's own.")
@click.option("--every", type=click.IntRange(1), help="Epochs from frame to frame; by default so many that there are about 60.")
@click.option("--on", type=click.Choice(Split._fields), help="The set to show; by default validation, else test, else train.")
def animate(
    study: Study,
    results: Path,
    trial: str | None,
    figures: Path,
    epochs: int | None,
    every: int | None,
    on: str | None,
) -> None:
    """Train a trial of STUDY again, and draw what it decides over its two inputs, epoch by epoch.

    TRIAL is a key from trials.csv or how only that one begins, a configuration's label (its first trial), best or worst; by
    default the first of the primary reading.
    """
    from studies import api
    from studies.show import regions

    key = trial and api.find_trial(study, results, trial).key
    shown = regions.scene(study, key, on=on, epochs=epochs, every=every)
    for path, content in regions.animate(shown, figures / study.name).items():
        click.echo(f"{path}: {content}")


@click.command()
@options.on_study
@click.argument("trial")
@options.figures
def show(study: Study, results: Path, trial: str, figures: Path) -> None:
    """Train a TRIAL of STUDY again: print its settings and results, draw it, and save its model for torch.nn.

    TRIAL is a key from trials.csv or how only that one begins, a configuration's label (its first trial), best or worst. Torch
    alone loads the model's file. Of a function of your own there are the numbers alone.
    """
    from studies import api
    from studies.show import trial as one

    key = api.find_trial(study, results, trial).key
    if study.function.name:
        click.echo("\n".join(one.describe_call(study, key)))
        return
    trained = one.retrain(study, key)
    for line in one.describe_trial(trained):
        click.echo(line)
    click.echo()
    for path, content in one.write_trial(trained, figures / study.name, results / study.name).items():
        click.echo(f"{path}: {content}")
