"""The commands and their options; the work is done in `monops.train` and `monops.verify`."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from monops import data
from monops.checkpoint import remove_partial
from monops.cli.display import (
    TrainingProgress,
    checks_table,
    comparison_tables,
    figures_table,
    warnings_on,
    wide_console,
)
from monops.cli.files import require_writable, write_json, writing
from monops.data import Dataset
from monops.errors import OptionError
from monops.models import METHODS
from monops.train import DEFAULTS, DTYPES, KINDS, Training, check_choice, check_device, summarise

app = typer.Typer(
    help="Monotone operators, splitting methods and equilibrium networks.",
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
train = typer.Typer(help="Train an equilibrium network on images.", no_args_is_help=True)
app.add_typer(train, name="train")

Method = Annotated[
    str | None,
    typer.Option(help=f"Splitting method: {', '.join(METHODS)}.", show_default="peaceman-rachford"),
]
StepSize = Annotated[
    str | None,
    typer.Option(
        metavar="NUMBER|auto",
        help="Step size > 0 of the method; auto: tuned as training goes on.",
        show_default="auto",
    ),
]
Tolerance = Annotated[
    float | None,
    typer.Option(help="Relative residual in (0, 1) at which a solve ends.", show_default="0.01"),
]
Seed = Annotated[
    int | None,
    typer.Option(help="Of the initial weights and of the order of the images, ≥ 0.", show_default="0"),
]
Device = Annotated[str | None, typer.Option(help="Torch device: cpu, cuda, cuda:1, …", show_default="cpu")]
DType = Annotated[str | None, typer.Option("--dtype", help="float32 or float64.", show_default="float32")]
Threads = Annotated[
    int | None,
    typer.Option(help="CPU threads, ≥ 1; their number can change the last bits.", show_default="1"),
]
Resume = Annotated[
    Path | None,
    typer.Option(
        metavar="CHECKPOINT",
        help="Go on exactly where the run with this checkpoint was, with its options; only "
        "--epochs, --device, --threads, --out and --json may differ.",
    ),
]
Model = Annotated[str | None, typer.Option(help=f"One of {', '.join(KINDS)}.", show_default="dense")]
Json = Annotated[
    Path | None, typer.Option("--json", metavar="FILE", help="Write all figures to this file; its folder is made.")
]


def _epochs(dataset: str) -> Any:
    defaults = sorted({options.epochs for (name, _), options in DEFAULTS.items() if name == dataset})
    return typer.Option(
        help="How often to go through the training part, ≥ 1.", show_default=" or ".join(map(str, defaults))
    )


def _out(dataset: str) -> Any:
    return typer.Option(
        help="Folder for checkpoint.pt and report.png; those of an earlier run are replaced.",
        show_default=f"runs/{dataset}, runs/{dataset}-MODEL, or the checkpoint's",
    )


@train.command("digits")
def train_digits(
    model: Model = None,
    method: Method = None,
    step: StepSize = None,
    tol: Tolerance = None,
    epochs: Annotated[int | None, _epochs("digits")] = None,
    seed: Seed = None,
    device: Device = None,
    dtype: DType = None,
    threads: Threads = None,
    out: Annotated[Path | None, _out("digits")] = None,
    resume: Resume = None,
    json_file: Json = None,
) -> None:
    """Train on the 8×8 handwritten digits that come with scikit-learn; no download."""
    options = _options("digits", model, method, step, tol, epochs, seed, device, dtype, threads)
    _train(options, data.digits, out, resume, json_file)


@train.command("mnist")
def train_mnist(
    data_root: Annotated[
        Path,
        typer.Option(metavar="DIR", help="Folder with MNIST's four IDX files, gzipped or not."),
    ],
    model: Model = None,
    method: Method = None,
    step: StepSize = None,
    tol: Tolerance = None,
    epochs: Annotated[int | None, _epochs("mnist")] = None,
    seed: Seed = None,
    device: Device = None,
    dtype: DType = None,
    threads: Threads = None,
    out: Annotated[Path | None, _out("mnist")] = None,
    resume: Resume = None,
    json_file: Json = None,
) -> None:
    """Train the networks of Winston and Kolter (2020) for MNIST: fully connected, of one convolution, or multi-tier."""
    options = _options("mnist", model, method, step, tol, epochs, seed, device, dtype, threads)
    _train(options, lambda: data.mnist(data_root), out, resume, json_file)


@app.command()
def verify(
    device: Device = None,
    dtype: Annotated[str, typer.Option("--dtype", help="float32 or float64.")] = "float64",
    json_file: Json = None,
) -> None:
    """Compare every operator, function and method with the independent SciPy reference.

    The exit code is 1 if a comparison fails.
    """
    from monops.verification import verify as compare

    check_choice("dtype", dtype, DTYPES)
    check_device(device or "cpu")
    if json_file is not None:
        require_writable("--json", json_file, folder=False)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    with warnings_on(errors), console.status("comparing") as status:
        report = compare(
            device=device or "cpu",
            dtype=DTYPES[dtype],
            progress=lambda check: status.update(f"comparing: {check.name}"),
        )
    console.print(checks_table(report))
    if json_file is not None:
        write_json(json_file, {"device": device or "cpu", "dtype": dtype, **report.to_dict()})
        console.print(Text(f"wrote {json_file}"), soft_wrap=True)
    if not report.passed:
        raise typer.Exit(1)


@app.command()
def bench(
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,NAME,…",
            help="Splitting methods, such as douglas-rachford,fista; an unknown name lists them all.",
            show_default="all that take the problem",
        ),
    ] = None,
    problems: Annotated[
        str | None, typer.Option(metavar="NAME,NAME,…", help="Some of those above.", show_default="all")
    ] = None,
    device: Device = None,
    dtype: DType = None,
    tol: Annotated[float, typer.Option(help="Relative residual > 0 at which a solve ends.")] = 1e-4,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Draw residuals into this PNG file; its folder is made.")
    ] = None,
    json_file: Json = None,
) -> None:
    """Compare splitting methods on fixed problems: steps, operator calls and measured time.

    Problems: equilibrium-1 and equilibrium-0.05 (87 units, 128 samples, m = 1 and 0.05), lasso, nonnegative,
    total-variation.
    """
    from monops import bench as benchmarks

    precision = dtype or "float32"
    check_choice("dtype", precision, DTYPES)
    check_device(device or "cpu")
    for option, path in (("--plot", plot), ("--json", json_file)):
        if path is not None:
            require_writable(option, path, folder=False)
    if plot is not None:
        from monops import plots  # here, so that what is missing is said before the work
    console, errors = wide_console(), Console(stderr=True, highlight=False)
    chosen = _listed(methods) if methods is not None else tuple(benchmarks.METHODS)
    with warnings_on(errors), console.status("comparing") as status:
        result = benchmarks.run(
            chosen,
            _listed(problems) if problems is not None else tuple(benchmarks.PROBLEMS),
            device=device or "cpu",
            dtype=DTYPES[precision],
            tol=tol,
            progress=lambda name: status.update(f"comparing {name}"),
        )
    for shown in comparison_tables(result, refusals=methods is not None, console=console):
        console.print(shown)
    if plot is not None:
        with writing("--plot", plot):
            plots.save(result.plot(), plot)
    if json_file is not None:
        write_json(json_file, {"device": device or "cpu", "dtype": precision, **result.to_dict()})
    for path in filter(None, (plot, json_file)):
        console.print(Text(f"wrote {path}"), soft_wrap=True)


@app.command("new-method")
def new_method(name: Annotated[str, typer.Argument(help="Such as my-method or MyMethod.")]) -> None:
    """Write a splitting method that works and its test into this folder, to be changed into your own."""
    from monops.scaffold import new_method as write

    method, test = write(name)
    Console(highlight=False).print(
        Text(f"wrote {method} and {test}; try them: python -m pytest {test}"), soft_wrap=True
    )


def _listed(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _options(
    dataset: str,
    model: str | None,
    method: str | None,
    step: str | None,
    tol: float | None,
    epochs: int | None,
    seed: int | None,
    device: str | None,
    dtype: str | None,
    threads: int | None,
) -> dict[str, Any]:
    """The options that were given, by their names in `Options`."""
    options = {"method": method, "step": _step(step), "tol": tol, "epochs": epochs}
    options |= {"seed": seed, "device": device, "dtype": dtype, "threads": threads}
    options["model"] = model
    return {"data": dataset} | {name: v for name, v in options.items() if v is not None}


def _step(text: str | None) -> float | str | None:
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError:
        raise OptionError(f'step: got {text!r}, wanted a number > 0 or "auto"') from None


def _train(
    options: dict[str, Any],
    load: Callable[[], Dataset],
    out: Path | None,
    resume: Path | None,
    json_file: Path | None,
) -> None:
    from monops import plots  # here, as the help should not wait for matplotlib

    name, model = options["data"], options.get("model", "dense")
    check_choice("model", model, KINDS)
    out = out or (resume.parent if resume else Path("runs") / (name if model == "dense" else f"{name}-{model}"))
    require_writable("--out", out, folder=True)
    if json_file is not None:
        require_writable("--json", json_file, folder=False)
    console, errors = Console(highlight=False), Console(stderr=True, highlight=False)
    target = out / "checkpoint.pt"
    remove_partial(target)
    with warnings_on(errors):
        if resume:
            training = Training.resume(resume, **options)
        else:
            training = Training(replace(DEFAULTS[name, model], **options))
        dataset = load()
        with _resumable(errors, name, target), TrainingProgress(console, training) as progress:
            training.run(dataset, target, on_batch=progress.on_batch, on_epoch=progress.on_epoch)
        if not console.is_terminal:
            console.print("comparing with the SciPy reference, drawing")
        with console.status("comparing with the SciPy reference, drawing"):
            figures = summarise(training, dataset)
            training.save(target)  # to a new folder too, where no epoch was left to do
            plots.save(plots.report(figures), out / "report.png")
    files = {"checkpoint": target, "picture": out / "report.png"}
    if json_file is not None:
        write_json(json_file, figures)
        files["figures"] = json_file
    console.print(figures_table(figures, files))


@contextmanager
def _resumable(errors: Console, dataset: str, target: Path) -> Iterator[None]:
    """On Ctrl-C, say how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        how = f"go on with: monops train {dataset} --resume {target}"
        errors.print(Text(f"interrupted; {how if target.exists() else 'no epoch is done yet'}"))
        raise typer.Exit(130) from None
