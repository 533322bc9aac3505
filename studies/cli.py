"""The command line: `ablation ...`, or `python -m studies ...`.

Exit status: 0; 1 where trials failed, numbers differ or something is worse; 2 for wrong input; 3 where two results cannot be
compared; 130 when interrupted.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import joblib
import pandas as pd
from rich.console import Console

from studies import compare, devices, files, plan, reports, spec, standing, store, suite, tables
from studies.datasets import Split
from studies.errors import UserError
from studies.screen import Screen
from studies.spec import Study

INTERRUPTED = 130
_study = click.argument("study")
_studies = click.argument("studies", nargs=-1, required=True, metavar="STUDY...")
_results = click.option(
    "--results",
    type=click.Path(path_type=Path),
    default=Path("results"),
    show_default=True,
    help="Folder of results; each study has a folder of its name in it.",
)
_figures = click.option(
    "--figures",
    type=click.Path(path_type=Path),
    default=Path("figures"),
    show_default=True,
    help="Folder of pictures; each study has a folder of its name in it.",
)
_quick = click.option("--quick", is_flag=True, help="A quick look: the primary reading, no more than 10 repeats.")
_device = click.option(
    "--device", type=click.Choice(devices.NAMES), default="cpu", show_default=True, help="What trains: cores, or CUDA devices."
)
_set = click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Change the spec: --set base.epochs=50.")


class _Commands(click.Group):
    """A group whose commands end wrong input with one line and status 2, and an interrupt with 130."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"ablation: {' '.join(str(error).splitlines())}", err=True)
            ctx.exit(2)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as error:
            click.echo(f"ablation: {error}", err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Ablation studies of small neural networks: a STUDY is a name from `ablation list`, or the path of a TOML file."""


@main.command("list")
def list_studies() -> None:
    """Show the declared studies."""
    for name in spec.names():
        study = spec.load(name)
        trials = sum(reading.trials for reading in study.readings)
        click.echo(f"{name:24} {trials:>7,} trials   {study.title}")


@main.command("plan")
@_study
@_set
@_quick
@_results
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes to plan for; by default the usable cores.")
@click.option(
    "--sd",
    type=click.FloatRange(0, min_open=True),
    help="Of the paired differences between two configurations, in points; by default from the study's rows, if there are any.",
)
@click.option(
    "--difference",
    type=click.FloatRange(0, min_open=True),
    help="Say how many repeats show a difference of so many points, or sd where none is known.",
)
def show_plan(
    study: str,
    overrides: Sequence[str],
    quick: bool,
    results: Path,
    jobs: int | None,
    sd: float | None,
    difference: float | None,
) -> None:
    """Check the spec of STUDY, and say what a run would train and what it could tell."""
    planned = spec.load(study, overrides, quick)
    spreads = {each.reading: sd for each in planned.readings} if sd else suite.spreads(planned, results)
    source = "given" if sd else f"by the rows in {results / planned.name}"
    for line in plan.describe(planned, jobs or devices.processes("cpu"), spreads, difference, source):
        click.echo(line)


@main.command()
@_studies
@_set
@_quick
@_results
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes; by default the usable cores, or CUDA devices.")
@click.option("--backend", type=click.Choice(suite.BACKENDS), default="loky", show_default=True, help="How stacks are spread.")
@click.option(
    "--scheduler", metavar="ADDRESS", help="With --backend dask: whose workers train, tcp://host:8786; else local ones."
)
@_device
@click.option("--force", is_flag=True, help="Move earlier results of this name aside and train everything again.")
@click.option("--live", is_flag=True, help="First show in a window how the study's first trial trains: two inputs only.")
def run(
    studies: Sequence[str],
    overrides: Sequence[str],
    quick: bool,
    results: Path,
    jobs: int | None,
    backend: str,
    scheduler: str | None,
    device: str,
    force: bool,
    live: bool,
) -> None:
    """Train what each STUDY still lacks; finished stacks are on disk at once, and a second run goes on from there.

    All studies are checked before the first trains.
    """
    planned = [spec.load(study, overrides, quick) for study in studies]
    for study in planned if live else ():
        _show_live(study)
    with Screen(results) as screen:
        try:
            suite.run_all(
                planned,
                jobs=jobs,
                backend=backend,
                scheduler=scheduler,
                device=device,
                results=results,
                force=force,
                started=screen.started,
                received=screen.received,
                finished=screen.finished,
            )
        except KeyboardInterrupt:
            click.echo(
                f"interrupted: {screen.trained():,} trials of this run are on disk; the same command goes on from there",
                err=True,
            )
            sys.exit(INTERRUPTED)
        except OSError as error:
            click.echo(f"ablation: {error}; what other stacks left is safe, and the same command goes on from there", err=True)
            sys.exit(1)
    sys.exit(1 if screen.trained("failed") else 0)


def _show_live(study: Study) -> None:
    """Show the training of the study's first trial, or say why not."""
    from studies import regions  # only where asked for: a run is to start at once

    if not regions.live(study):
        click.echo(
            "--live is left out: no window can be opened here; `ablation animate` makes a file of the same picture", err=True
        )


@main.command()
@_study
@_set
@_quick
@_results
def status(study: str, overrides: Sequence[str], quick: bool, results: Path) -> None:
    """Say what of STUDY is done, missing and failed, and why; what made its rows, and which runs are at work."""
    for line in standing.status(spec.load(study, overrides, quick), results):
        click.echo(line)


@main.command()
@_study
@click.argument("trial")
@_set
@_quick
@_results
def explain(study: str, trial: str, overrides: Sequence[str], quick: bool, results: Path) -> None:
    """Say whether a run of STUDY would train TRIAL or reuse its row, and why.

    TRIAL is a key from trials.csv, or how only that one begins.
    """
    for line in standing.explain(spec.load(study, overrides, quick), results, trial):
        click.echo(line)


@main.command()
@_study
@_set
@_quick
@_results
@click.option("--sample", type=click.IntRange(1), default=10, show_default=True, help="How many trials to retrain.")
@click.option("--seed", type=int, default=0, show_default=True, help="Which ones: another number, another sample.")
def verify(study: str, overrides: Sequence[str], quick: bool, results: Path, sample: int, seed: int) -> None:
    """Retrain some of STUDY's trials, each alone, and compare them with their rows bit for bit: status 1 if any differ."""
    differences = suite.verify(spec.load(study, overrides, quick), results, sample, seed)
    if differences.empty:
        click.echo(
            f"{study}: a sample of {sample} trials, each trained alone, gives every number of their rows to the last bit"
        )
        return
    tables.print_table(f"{study}: numbers that differ", differences.astype(str), differences.columns, Console())
    sys.exit(1)


@main.command("tables")
@_study
@_set
@_quick
@_results
@click.option("--against", metavar="CONFIG", help="Compare all configurations with this one, an id or a label; writes nothing.")
def show_tables(study: str, overrides: Sequence[str], quick: bool, results: Path, against: str | None) -> None:
    """Write STUDY's tables anew from its rows, or show the ones there are, and print them."""
    planned = spec.load(study, overrides, quick)
    if against is not None:
        tables.show_comparison(planned, suite.against(planned, results, against), Console())
        return
    tables.show(planned, suite.tables_of(planned, results, anew=True), Console())


@main.command()
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@_set
@_quick
@_results
@_figures
def figures(studies: Sequence[str], overrides: Sequence[str], quick: bool, results: Path, figures: Path) -> None:
    """Draw the pictures of each STUDY, by default of all that have results, from the tables beside their rows."""
    named = studies or [name for name in spec.names() if (results / name / "summary.csv").exists()]
    if not named:
        raise UserError(f"no declared study has tables in {results}; train one first: ablation run demo")
    planned = [spec.load(name, overrides, quick) for name in named]
    drawn = joblib.Parallel(n_jobs=min(joblib.cpu_count(), len(planned)), return_as="generator")(
        joblib.delayed(_drawn)(study, results, figures) for study in planned
    )
    for study, outcomes in zip(planned, drawn, strict=True):
        for name, outcome in outcomes.items():
            click.echo(f"{study.name}: {name:12} {outcome}")


def _drawn(study: Study, results: Path, figures: Path) -> dict[str, Path | str]:
    """Draw what there is of a study."""
    from studies import figures as pictures  # matplotlib takes a second that no other command needs

    return pictures.draw(study, suite.tables_of(study, results), figures / study.name, suite.predictions_of(study, results))


@main.command("report")
@_study
@_set
@_quick
@_results
@_figures
def write_report(study: str, overrides: Sequence[str], quick: bool, results: Path, figures: Path) -> None:
    """Write what STUDY found as one page, report.html beside its tables; draws the pictures that are missing or older."""
    from studies import report  # matplotlib takes a second that no other command needs

    click.echo(report.write(spec.load(study, overrides, quick), results, figures))


@main.command()
@_quick
@_results
@click.option("--markdown", type=click.Path(path_type=Path), help="Write the table of verdicts to this file too.")
def verdict(quick: bool, results: Path, markdown: Path | None) -> None:
    """Judge every claim of the five reports by the rows in the results folder; writes verdicts.csv there."""
    table = suite.verdicts(results, quick)
    console = Console()
    shown = reports.texts(table[table["role"] == "primary"])
    tables.print_table("Verdicts", shown.drop(columns="reason"), ("source", "claim", "verdict"), console)
    counts = table.loc[table["role"] == "primary", "verdict"].value_counts()
    click.echo(", ".join(f"{count} {outcome}" for outcome, count in counts.items()) + f"; {results / 'verdicts.csv'}")
    if markdown:
        files.write(markdown, reports.in_markdown(table))


@main.command("compare")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
def show_changes(a: Path, b: Path) -> None:
    """Compare the results in folder B with those in A, trial by trial: two commits, machines or versions of torch.

    Exit status 1 where something is worse beyond chance, 3 where the two cannot be compared.
    """
    (manifest_a, trials_a), (manifest_b, trials_b) = (store.read_finished(folder) for folder in (a, b))
    obstacle = compare.obstacle(manifest_a["identity"], manifest_b["identity"])
    both = pd.DataFrame() if obstacle else compare.matched(trials_a, trials_b)
    if both.empty:
        none = f"no trial is in both: {store.differing(manifest_a['identity'], manifest_b['identity'])}"
        click.echo(f"{a} and {b} cannot be compared: {obstacle or none}", err=True)
        sys.exit(compare.UNTOLD)
    found = compare.changes(both, compare.samplings(manifest_a["identity"]))
    status, lines = compare.conclude(both, found)
    for line in compare.made_by(manifest_a, manifest_b, trials_a, trials_b):
        click.echo(line)
    click.echo(
        f"{len(both):,} trials in both, {len(trials_a) - len(both):,} in A only, {len(trials_b) - len(both):,} in B only"
    )
    if not both["equal"].all():
        shown = compare.shown(found)
        tables.print_table(f"From A, {a}, to B, {b}", shown, ("what", "beyond chance"), Console())
    for line in lines:
        click.echo(line)
    sys.exit(status)


@main.command()
@_study
@click.argument("trial", required=False)
@_set
@_quick
@_figures
@click.option("--epochs", type=click.IntRange(1), help="Stop after that many; by default the trial's own.")
@click.option("--every", type=click.IntRange(1), help="Epochs from frame to frame; by default so many that there are about 60.")
@click.option("--on", type=click.Choice(Split._fields), help="The set to show; by default validation, else test, else train.")
def animate(
    study: str,
    trial: str | None,
    overrides: Sequence[str],
    quick: bool,
    figures: Path,
    epochs: int | None,
    every: int | None,
    on: str | None,
) -> None:
    """Train a trial of STUDY again, and draw what it decides over its two inputs, epoch by epoch.

    TRIAL is a key from trials.csv, or how only that one begins; by default the first of the primary reading.
    """
    from studies import regions  # matplotlib takes a second that no other command needs

    planned = spec.load(study, overrides, quick)
    shown = regions.scene(planned, trial, on=on, epochs=epochs, every=every)
    for path, content in regions.animate(shown, figures / planned.name).items():
        click.echo(f"{path}: {content}")


@main.command()
@_study
@click.argument("trial")
@_set
@_quick
@_results
@_figures
def show(study: str, trial: str, overrides: Sequence[str], quick: bool, results: Path, figures: Path) -> None:
    """Train a TRIAL of STUDY again: print its settings and results, draw it, and save its model for torch.nn.

    TRIAL is a key from trials.csv, or how only that one begins. Torch alone loads the model's file.
    """
    from studies import show as one  # matplotlib and torch.nn take a second that no other command needs

    planned = spec.load(study, overrides, quick)
    trained = one.retrain(planned, trial)
    for line in one.described(trained):
        click.echo(line)
    click.echo()
    for path, content in one.write(trained, figures / planned.name, results / planned.name).items():
        click.echo(f"{path}: {content}")


@main.command()
@click.argument("name")
def init(name: str) -> None:
    """Write NAME.toml, a commented spec to start a study of your own from."""
    path = Path(name if name.endswith(".toml") else f"{name}.toml")
    if path.exists():
        raise UserError(f"{path} exists already and is left as it is; give another name")
    files.write(path, TEMPLATE.format(name=path.stem))
    click.echo(f"{path} is written; look at its plan by `ablation plan {path}`, train it by `ablation run {path}`")


TEMPLATE = """\
# A study: every combination of the levels under [[grid]] is trained on every fold.
title = "{name}"
question = "Which activation and learning rate suit this data?"
seed = 0
# design = "one_at_a_time"  # the base, and each level with all else as in the base, in place of every combination
# tune = ["optimizer.lr"]   # compare at the learning rate of least validation error, by test error

[data]
name = "moons"           # disk, linear, xor, moons, circles, spirals, iris, wine, breast_cancer, digits, csv
samples = 300            # training pool, split into folds
test_samples = 300
# name = "csv"           # a file of your own: numbers in every column but the target
# path = "my.csv"        # relative to this file
# target = "class"

[validation]
folds = 5
repeats = 1

[base]                   # what every model has unless a level says otherwise
hidden = [16, 16]
activation = "relu"      # relu, leaky_relu, prelu, elu, selu, tanh, sigmoid, identity, softmax
loss = "cross_entropy"   # mse, mae, bce, cross_entropy
init = "he"              # normal, he, xavier, lecun, uniform
batchnorm = "none"       # none, simplified, affine
optimizer = {{ name = "sgd", lr = 0.1, momentum = 0.9 }}
batch_size = 20
epochs = 50
history_every = 5

[[grid]]
activation = ["relu", "tanh"]
"optimizer.lr" = [0.01, 0.1]

# [[exclude]]            # combinations to leave out
# activation = "tanh"
# "optimizer.lr" = 0.1
"""
