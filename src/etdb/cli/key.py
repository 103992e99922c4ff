"""`etdb key`: keep a copy of a node's keys, and put it back."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.options import NodeOption, open_node
from etdb.cli.terminal import say, show
from etdb.errors import InvalidDataError
from etdb.node import default_folder, keys_folder
from etdb.publish import keys

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="Take the passphrase from this file's first line instead of asking.",
    ),
]
FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="The copy.")]


def backup(
    file: FileArgument,
    passphrase_file: PassphraseOption = None,
    node: NodeOption = None,
) -> None:
    """Write both keys to FILE, encrypted with a passphrase.

    Who loses the publisher's key can never edit or withdraw what it signed; who
    steals it can sign as you, and no protocol can take that back: other nodes
    can only block the address. Heirs, who may edit or withdraw in your place,
    must be named when a record is published. Keep the copy somewhere else.

    \b
    Example:
        etdb key backup /media/usb/etdb-keys.json
    """
    passphrase = _passphrase(passphrase_file, confirm=True)
    with open_node(node) as opened:
        keys.backup(keys_folder(opened.folder), file, passphrase)
    show(f"keys of {opened.folder} written to {file}, encrypted")


def restore(
    file: FileArgument,
    passphrase_file: PassphraseOption = None,
    node: NodeOption = None,
) -> None:
    """Put the keys of a copy back into a node that has lost them.

    \b
    Example:
        etdb key restore /media/usb/etdb-keys.json --node ~/etdb
    """
    passphrase = _passphrase(passphrase_file, confirm=False)
    folder = node or default_folder()
    keys.restore(file, keys_folder(folder), passphrase)
    show(f"keys restored into {folder}")
    say("Before publishing from a restored copy, make sure the other one is gone:")
    say("two writers of one chain are taken for a forgery.")


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        try:
            return file.read_text("utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as exc:
            msg = f"cannot read a passphrase from {file}: {exc}"
            raise InvalidDataError(msg) from exc
    if not sys.stdin.isatty():
        msg = "nobody is there to type a passphrase"
        raise InvalidDataError(msg, hint="use --passphrase-file FILE")
    return str(
        typer.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
    )
