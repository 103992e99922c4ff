"""The command line: one file per noun, one table of exit codes.

Nothing is decided here. A command reads its options, opens the node or a
client, calls the library, and prints what came back.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from importlib import import_module, metadata
from typing import Annotated, NoReturn

import typer

from etdb import errors
from etdb.cli.terminal import SomeFailed, UsageError, say

EXIT_CODES: dict[type[errors.EtdbError], int] = {
    errors.EtdbError: 1,
    errors.InvalidDataError: 3,
    errors.InvalidRecordError: 3,
    errors.InvalidMessageError: 3,
    errors.InvalidSignatureError: 3,
    errors.ContentMismatchError: 3,
    errors.NotFoundError: 4,
    errors.UnavailableError: 5,
    errors.NotAllowedError: 6,
    errors.ConflictError: 6,
    errors.ConfigError: 7,
    errors.DamagedFileError: 8,
}
USAGE = 2
SOME_FAILED = 9
INTERRUPTED = 130
EXIT_MEANINGS = {
    0: "done",
    1: "an unexpected fault of etdb; the traceback is shown",
    USAGE: "the command line was not understood, or something is missing in it",
    3: "what was given or fetched breaks a rule: a value, a file, a record, a "
    "message, a signature; the same again cannot help",
    4: "a record, file, chunk or publisher is not there",
    5: "a service, a device or another node did not do its part; retrying may help",
    6: "not permitted, or something is in the way: already there, in use, or of "
    "another network",
    7: "a setting is wrong; nothing was started",
    8: "a file of the node itself is damaged; the hint says whether it can be made "
    "again",
    SOME_FAILED: "some of many failed; each is listed",
    INTERRUPTED: "stopped by Ctrl-C; the same command goes on from there",
}
"""Every exit status in words, for docs/commands.md."""
_OBJECTS_BETWEEN_COLLECTIONS = 50_000

COMMANDS = {
    "init": "init:init",
    "publish": "publish:publish",
    "edit": "edit:edit",
    "withdraw": "withdraw:withdraw",
    "register": "register:register",
    "search": "search:search",
    "show": "show:show_record",
    "get": "get:get",
    "cat": "cat:cat",
    "whereis": "whereis:whereis",
    "pin": "pin:pin",
    "verify": "verify:verify",
    "cid": "cid:cid",
    "serve": "serve:serve",
    "status": "status:status",
    "config": "config:config",
    "demo": "demo:demo",
    "key backup": "key:backup",
    "key restore": "key:restore",
    "key import": "key:import_key",
    "key show": "key:show_keys",
    "ledger status": "ledger:status",
    "ledger follow": "ledger:follow",
    "message decode": "message:decode",
    "store add": "store:add",
    "store list": "store:list_files",
    "store remove": "store:remove",
    "store check": "store:check",
    "index check": "index:check",
    "index rebuild": "index:rebuild",
}
"""Every command, and the module and function of this package that it is."""
NOUNS = {
    "key": "Show, copy and import the keys.",
    "ledger": "See the ledgers that are read and written.",
    "message": "Decode messages and transactions of a ledger.",
    "store": "Hold, list and check files where they lie.",
    "index": "Check and rebuild the index.",
}


def command_names() -> list[str]:
    """Every command, as it is typed after `etdb`."""
    return list(COMMANDS)


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The command line; only the command that `words` name where they do.

    Most of a second would go into importing what other commands need.
    """
    first = next((word for word in words if not word.startswith("-")), "")
    wanted = [name for name in COMMANDS if name.split()[0] == first] or list(COMMANDS)
    if list(words) == ["--version"]:
        wanted = []
    app = _group("Publish, find and fetch electron tomography data.")
    app.callback(invoke_without_command=True)(_root)
    nouns = {name: _group(sentence) for name, sentence in NOUNS.items()}
    for name in wanted:
        module, _, function = COMMANDS[name].partition(":")
        noun, _, verb = name.rpartition(" ")
        command = getattr(import_module(f"etdb.cli.{module}"), function)
        # In a query, `-word` is no option but what must not be there.
        is_query = name == "search"
        context = {
            "ignore_unknown_options": is_query,
            "help_option_names": ["--help"] if is_query else ["-h", "--help"],
        }
        group = nouns[noun] if noun else app
        group.command(verb, context_settings=context)(command)
    for name, group in nouns.items():
        app.add_typer(group, name=name)
    return app


def _group(sentence: str) -> typer.Typer:
    return typer.Typer(
        help=sentence,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.")
    ] = False,
) -> None:
    """Publish, find and fetch electron tomography data.

    Files stay where they are and are addressed by their content; each dataset
    is described by a signed record on a ledger; every byte that is fetched is
    checked against the record.
    """
    if version:
        typer.echo(f"etdb {metadata.version('etdb')}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def collect_rarely() -> None:
    """Let Python look for unreachable cycles less often than it does by itself.

    Thousands of records or files make millions of objects and hardly a cycle;
    looking through them again and again took a quarter of the time.
    """
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS, 20, 20)


def fail(error: errors.EtdbError | UsageError) -> NoReturn:
    """Say what went wrong and what to do, and end with its exit status."""
    say(f"error: {error.message}")
    if error.hint:
        say(f"  {error.hint}")
    sys.exit(USAGE if isinstance(error, UsageError) else EXIT_CODES[type(error)])


def main() -> NoReturn:
    """Run one command and end with its exit status."""
    collect_rarely()
    try:
        _run(sys.argv[1:])
    except (errors.EtdbError, UsageError) as error:
        fail(error)
    except SomeFailed:
        sys.exit(SOME_FAILED)
    except SystemExit as end:
        # Typer ends with this status on Ctrl-C.
        if end.code == INTERRUPTED:
            say("stopped; the same command goes on from here")
        raise
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    sys.exit(0)


def _run(words: Sequence[str]) -> None:
    """One command, and whatever it printed to where that goes.

    Raises UnavailableError where it cannot go there. A reader of a pipe that has
    seen enough (head, less) is no error.
    """
    try:
        try:
            build(words)(prog_name="etdb")
        finally:
            sys.stdout.flush()
    except SystemExit as end:
        # Typer's own way of telling a closed pipe.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        _write_no_more()
    except BrokenPipeError:
        _write_no_more()
    except OSError as error:
        if error.filename is not None:
            raise
        _write_no_more()
        msg = f"cannot write the output: {error.strerror or error}"
        raise errors.UnavailableError(msg) from error


def _write_no_more() -> None:
    """What is still to be written to standard output goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
