"""Words in the names of columns and levels, and what they mean: directions of measures, replicates, blocks, baselines."""

import re
from collections.abc import Iterable
from functools import cache


def each_of(text: str) -> frozenset[str]:
    """The words of a text, as a set to look others up in."""
    return frozenset(text.split())


LOWER = each_of(
    "loss losses err error errors rmse mse mae mape nll brier perplexity ppl fid wer cer ece regret epe seconds second time "
    "latency runtime duration elapsed mpjpe lpips fehler fehlerrate verlust erreur perte perdida pérdida chamfer rmsle nrmse "
    "crps bpd logloss smape hd95 der eer msle misclassification deviance kid ms secs sec"
)
HIGHER = each_of(
    "acc accuracy auc auroc roc prauc auprc aucpr f1 dice iou miou jaccard precision recall sensitivity specificity r2 bleu "
    "rouge score map ap mrr ndcg top1 top5 psnr ssim reward return mcc kappa correct success wins genauigkeit treffer "
    "exactitude précision exactitud precisión acuratezza hit hits gmean f1score bacc em spearman pearson throughput fps "
    "sharpe likelihood elbo plcc srcc pck accuracies chrf meteor cider"
)
TIMES = each_of("seconds second time latency runtime duration elapsed ms secs sec throughput fps")
LOSSES = each_of("loss losses perte verlust nll")
PERCENT = each_of("pct percent percentage prozent")
FOLDS = each_of("fold folds split splits cv cvfold falte")
REPLICATES = FOLDS | each_of(
    "seed seeds repeat repeats rep reps repetition replicate replicates run runs trial trials subject subjects participant "
    "patient id ids item items instance instances durchlauf lauf semilla graine essai sample samples example question "
    "query session randomstate rng"
)
ITEMS = each_of(
    "subject subjects participant patient id ids item items instance instances sample samples example question query"
)
BLOCKS = each_of(
    "dataset datasets data benchmark benchmarks task tasks domain env environment corpus scenario game language lang datensatz "
    "aufgabe datos jeu site center"
)
VARIANTS = each_of(
    "variant variante method methods methode model models modell config configuration konfiguration ablation ablated setting "
    "settings component disabled removed solver algorithm algo approach arm condition group system name experiment treatment "
    "architecture version scheme strategy exp modelo modèle método"
)
ATTRIBUTES = each_of(
    "params param parameters parameter flops gflops macs gmacs size mem memory vram gb mb lambda layers depth width features "
    "channels year parametros paramètres weight weights"
)
SETTINGS = each_of(
    "lr wd learning batch depth width hidden layers units dropout lambda alpha beta gamma decay momentum temperature "
    "k c degree heads dim rank patience window horizon threshold eta epsilon neighbors estimators kernel rate"
)
DERIVED = each_of(
    "delta diff difference gain improvement drop change rank rel relative mean avg average std sd min max median total "
    "mittel moyenne overall"
)
SPREADS = {"std": 0, "sd": 0, "stdev": 0, "stddev": 0, "deviation": 0, "sem": 1, "se": 1, "stderr": 1, "stderror": 1}
INTERVALS = each_of("ci ci95 confidence interval")
MEANS = each_of("mean avg average")
COUNTS = each_of("n nruns runs nseeds seeds count counts repeats nrepeats numseeds numruns reps nrep nreps")
PARTS = each_of(  # of one data set or one measure: no data sets
    "train training val valid validation dev test eval best final last first mean std sd se sem min max avg average median "
    "macro "
    "micro weighted balanced top1 top5 top 1 5 10 k in out s ms pct percent the at of n id ood rank delta diff"
)
BASELINES = each_of(
    "full base baseline all proposed original default complete ours control vanilla reference standard none basis voll "
    "vollständig complet complète completo completa original everything intact unablated"
)
_FILLERS = each_of("model method system config configuration version setup features components variant our the set modell")
_REMOVAL = re.compile(
    r"(^|[\s_(\-,/+])(no|not|non|w/o|wo|without|minus|remove[ds]?|ohne|sans|sin|drop(ped)?|less|only|cut)([\s_\-:.]|$)", re.I
)
_LEADING_MINUS = re.compile(r"^\s*[-\N{MINUS SIGN}\N{EN DASH}]\s*\w")
_SPLIT = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])|[^\w]+|_+")


@cache
def words(name: str) -> tuple[str, ...]:
    """The words of a name in lower case.

    >>> words("valLoss (mean)"), words("params.random_state"), words("Top-1 acc")
    (('val', 'loss', 'mean'), ('params', 'randomstate'), ('top1', 'acc'))
    """
    name = re.sub("[\u0394\u2206]", "delta ", name)
    joined = re.sub(r"(?i)top[-_ @]?(\d)", r"top\1", name)
    joined = re.sub(r"(?i)random[-_ ]?state", "randomstate", joined)
    joined = re.sub(r"(?i)data[-_ ]set", "dataset", joined)
    joined = re.sub(r"(?i)r\^2|r²", "r2", joined)
    return tuple(word.casefold() for word in _SPLIT.split(joined) if word)


def _without_number(word: str) -> str:
    """A word without the digits at its end, where two letters or more remain."""
    short = word.rstrip("0123456789")
    return short if len(short) > 1 else word


def has(name: str, known: Iterable[str]) -> bool:
    """True where a word of the name is known; a number at its end may be left out."""
    return any(word in known or _without_number(word) in known for word in words(name))


def has_error(name: str) -> bool:
    """True where the spread that a name speaks of is a standard error."""
    return any(SPREADS.get(word) for word in words(name))


def direction(name: str) -> str:
    """Better values of a measure by its name: "lower", "higher", or "" where the name does not say.

    >>> direction("val_loss"), direction("Top-1 accuracy"), direction("error rate"), direction("cost"), direction("loss_score")
    ('lower', 'higher', 'lower', '', '')
    """
    own = {*words(name), *map(_without_number, words(name))}
    if "neg" in own:  # scikit-learn's neg_mean_squared_error
        return "higher"
    compact = "".join(words(name))
    if any(compact.endswith(end) for end in ("reductionpct", "errorreduction")):
        return ""
    lower, higher = bool(own & LOWER), bool(own & HIGHER)
    if "log" in own and "likelihood" in own:
        return "lower" if {"neg", "negative"} & own else "higher"
    if "score" in own and (own & HIGHER) == {"score"} and lower:
        return ""
    return "" if lower == higher else "lower" if lower else "higher"


def unit_of(name: str) -> str:
    """The unit that a name gives: "%" or "s" or ""."""
    own = set(words(name))
    if "%" in name or own & PERCENT:
        return "%"
    return "ms" if "ms" in own else "s" if own & {"seconds", "second", "secs", "sec", "s"} else ""


def is_removal(label: str) -> bool:
    """True for the name of something that lacks a part: "no dropout", "w/o attention", "- residual"."""
    return bool(_REMOVAL.search(label) or _LEADING_MINUS.match(label))


def replicate_word(name: str) -> str:
    """The word by which a column is one of replicates, or "": "run_seed", "Fold", "item_id", but not "n_runs".

    >>> [replicate_word(name) for name in ("run_seed", "item_id", "n_runs", "fold3", "trial loss")]
    ['seed', 'item', '', 'fold', '']
    """
    every = words(name)
    own = [word for word in every if word not in {"name", "id", "ids", "idx", "index"}] or list(every)
    if not own or own[0] in {"n", "num", "number"}:
        return ""
    last = own[-1] if own[-1] in REPLICATES else own[-1].rstrip("0123456789") if len(own) == 1 else ""
    return last if last in REPLICATES else ""


def baselines(labels: Iterable[str]) -> list[str]:
    """The labels that name a baseline: by all their words, or, where none does, by one of them.

    >>> baselines(["Full model", "- attention"]), baselines(["full", "baseline"]), baselines(["net (ours)", "net", "no net"])
    (['Full model'], ['full', 'baseline'], ['net (ours)'])
    """
    every = [label for label in labels if not is_removal(label)]
    whole = [label for label in every if (own := set(words(label))) & BASELINES and own <= BASELINES | _FILLERS]
    return whole or [label for label in every if set(words(label)) & BASELINES]
