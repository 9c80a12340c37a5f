"""The command `stretto`: each verb is a module of `jobs`, imported only when it is called.

Exit codes: 0 fine, 1 a finding, 2 bad usage or bad input. `stretto --debug VERB` shows tracebacks.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Annotated, Any, Literal

import typer

from schemas.errors import StrettoError

Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a config key.")
]
Dir = Annotated[str, typer.Argument(metavar="DIR", help="A corpus: a folder, s3:// or gs://.")]
Key = Annotated[str | None, typer.Argument(metavar="KEY", help="A sample (default: the first).")]

SchemaName = Annotated[str, typer.Argument(metavar="S", help="A preset's name or a file.")]
OptionalDir = Annotated[
    str | None,
    typer.Argument(metavar="[DIR]", help="A corpus with codecs: a folder, s3://, gs://."),
]

app = typer.Typer(
    help="Full-duplex training data: dialogues and robot trajectories in, aligned samples out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
schemas = typer.Typer(help="Look at token schemas.", no_args_is_help=True)
app.add_typer(schemas, name="schema")


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Options of every verb; `main` reads --debug itself."""


@app.command()
def generate(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The corpus's YAML file.")],
    out: Annotated[str, typer.Option(metavar="DIR", help="A folder, s3:// or gs://.")],
    runner: Annotated[
        Literal["local", "ray"], typer.Option(help="In this process, or on Ray.")
    ] = "local",
    address: Annotated[
        str | None, typer.Option(metavar="A", help="A running Ray cluster (with --runner ray).")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Only the first N records a source.")
    ] = None,
    settings: Settings = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count what would be made; write nothing.")
    ] = False,
) -> None:
    """Make a corpus. Running it again resumes."""
    if address and runner != "ray":
        raise StrettoError("--address needs --runner ray")
    _call("generate", config, out, runner, address, limit, tuple(settings or ()), dry_run)


@app.command()
def validate(
    directory: Dir,
    source: Annotated[
        str | None,
        typer.Option(metavar="SRC", help="Of a token corpus: where its source lies now."),
    ] = None,
) -> None:
    """Prove the promises on a finished corpus, or on its tokens, one line each."""
    _call("validate", directory, source)


@app.command()
def stats(
    directory: Dir,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Hours, behaviours, turn-taking, rejects by reason."""
    _call("stats", directory, as_json)


@schemas.command("list")
def schema_list() -> None:
    """The presets."""
    _call("schema", function="list_")


@schemas.command("show")
def schema_show(
    schema: SchemaName,
    as_yaml: Annotated[
        bool, typer.Option("--yaml", help="As a YAML file to go on from, `extends` merged in.")
    ] = False,
) -> None:
    """One block of a schema, as a picture."""
    _call("schema_show", schema, as_yaml)


@schemas.command("check")
def schema_check(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A schema's file or name.")],
    directory: OptionalDir = None,
) -> None:
    """Is a schema sound? With DIR: does it work on that corpus?"""
    _call("schema", file, directory, function="check")


@schemas.command("diff")
def schema_diff(a: SchemaName, b: SchemaName, directory: OptionalDir = None) -> None:
    """What changes a second from A to B: tokens, boundaries, budgets, loss-bearing share."""
    _call("schema_diff", a, b, directory)


@schemas.command("explain")
def schema_explain(
    schema: SchemaName,
    directory: Dir,
    key: Key = None,
) -> None:
    """A sample block by block, with every id and what it means."""
    _call("schema", schema, directory, key, function="explain")


@app.command()
def fit(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The codec's YAML file.")],
    directory: Dir,
    out: Annotated[str | None, typer.Option(metavar="CODEC", help="Where to put it.")] = None,
    schema: Annotated[
        str | None, typer.Option(metavar="S", help="For this schema (default: the config's).")
    ] = None,
) -> None:
    """Fit the codecs that a schema names, on a corpus's train split."""
    _call("fit", config, directory, out, schema)


@app.command()
def retokenize(
    directory: Dir,
    schema: Annotated[str, typer.Option(metavar="S", help="A preset's name or a file.")],
    out: Annotated[str, typer.Option(metavar="OUT", help="A folder, s3:// or gs://.")],
    workers: Annotated[
        int | None, typer.Option(min=0, help="Processes (default: one a core; 0: none besides).")
    ] = None,
    codecs: Annotated[
        str | None, typer.Option(metavar="DIR", help="Codecs of DIR/codecs, not the corpus's.")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Only this split.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the rates as JSON.")] = False,
) -> None:
    """A corpus as tokens of a schema; nothing is synthesized. Running it again resumes."""
    _call("retokenize", directory, schema, out, workers, codecs, split, as_json)


@app.command()
def view(
    directory: Dir,
    out: Annotated[str, typer.Option(metavar="FILE.html", help="The page to write.")],
    key: Key = None,
    schema: Annotated[
        str | None, typer.Option(metavar="S", help="Its tokens (default: the corpus's schema).")
    ] = None,
) -> None:
    """One self-contained page of a sample to look at and listen to."""
    _call("view", directory, key, out, schema)


@app.command()
def train(
    config: Annotated[str, typer.Argument(metavar="CONFIG", help="The training's YAML file.")],
    settings: Settings = None,
) -> None:
    """Run the bundled trainer."""
    _call("train", config, list(settings or ()))


def _call(verb: str, *args: Any, function: str = "run") -> None:
    code = getattr(import_module(f"jobs.{verb}"), function)(*args)
    raise typer.Exit(code or 0)


def main(arguments: list[str] | None = None) -> None:
    """The console script. Errors are one line on stderr."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    rest = [a for a in given if a != "--debug"]
    try:
        app(rest, prog_name="stretto")
    except Exception as error:
        if debug:
            raise
        print(f"stretto: {_line(error)}", file=sys.stderr)
        raise SystemExit(2 if isinstance(error, StrettoError) else 1) from None


def _line(error: Exception) -> str:
    if isinstance(error, StrettoError):
        return error.line()
    text = " ".join(str(error).split())[:300]
    return f"unexpected {type(error).__name__}: {text}; run it again with --debug and report this"


if __name__ == "__main__":
    main()
