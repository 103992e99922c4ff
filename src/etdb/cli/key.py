"""`etdb key`: show, copy, put back and import a node's keys."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated

import typer

from etdb.cli.options import JsonOption, NodeOption, open_node
from etdb.cli.terminal import UsageError, say, show, show_facts, show_json
from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.ledger.flo.params import NETWORKS
from etdb.network import coins_height
from etdb.node import Node, keys_folder
from etdb.publish import keys
from etdb.record.signing import TEST_P2PKH
from etdb.settings import FILE_NAME, LedgerSettings

_MAX_KEY_BYTES = 1024
_LIKE_A_KEY = re.compile(r"\s*[0-9A-Za-z]{48,70}\s*")

PassphraseOption = Annotated[
    Path | None,
    typer.Option(
        "--passphrase-file",
        metavar="FILE",
        help="File whose first line is the passphrase; without it, you are asked.",
    ),
]
FileArgument = Annotated[
    Path, typer.Argument(metavar="FILE", help="The encrypted copy.")
]


def show_keys(node: NodeOption = None, json: JsonOption = False) -> None:
    """Show the addresses of both keys: who signs, and where to send coins.

    \b
    Example:
        etdb key show --node ~/etdb
    """
    with open_node(node) as opened:
        held = keys.load_keys(keys_folder(opened.folder))
        wallet = held.wallet_address
        if opened.settings.ledger.kind == "flo":
            network = NETWORKS[opened.settings.ledger.network]
            wallet = held.wallet.address(network.address_version)
    facts = {"publisher": held.address, "wallet": wallet}
    if json:
        show_json(facts)
    else:
        show_facts(facts.items())


def import_key(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="File with the key in wallet import format; - is standard input.",
        ),
    ],
    wallet: Annotated[
        bool, typer.Option("--wallet", help="The key pays: coins are at its address.")
    ] = False,
    publisher: Annotated[
        bool, typer.Option("--publisher", help="The key signs records as you.")
    ] = False,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Keep the key that is there aside, in a file."),
    ] = False,
    node: NodeOption = None,
) -> None:
    """Take over a key that another FLO wallet exported (dumpprivkey).

    Of the main network, R… or T…, or of a test network. The key is read from a
    file or from standard input, never from the command line, which other
    programs can see.

    \b
    Example:
        etdb key import --wallet dumped.txt --node ~/etdb
    """
    if wallet == publisher:
        msg = "say which key this is: --wallet or --publisher"
        raise typer.BadParameter(msg)
    name = keys.WALLET if wallet else keys.PUBLISHER
    imported = keys.parse_import(_read_key(file))
    with open_node(node) as opened, opened.publishing():
        ledger = opened.settings.ledger
        is_test = NETWORKS[ledger.network] is not NETWORKS["main"]
        if ledger.kind == "embedded":
            _verify_chain(opened, imported, is_publisher=publisher)
        kept = keys.import_key(
            keys_folder(opened.folder),
            name,
            imported,
            is_test=is_test if ledger.kind == "flo" else None,
            replace=replace,
        )
    show(f"{name} is now the key of {imported.address}")
    if kept is not None:
        show(f"the one before is kept in {kept}")
    if wallet:
        _say_where_coins_begin(ledger)
    say("Keep a new copy of the keys: etdb key backup FILE")


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
    with open_node(node) as opened:
        keys.restore(file, keys_folder(opened.folder), passphrase)
        show(f"keys restored into {opened.folder}")
    say("Before publishing from a restored copy, make sure the other one is gone:")
    say("two writers of one chain are taken for a forgery.")


def _say_where_coins_begin(ledger: LedgerSettings) -> None:
    first = coins_height(ledger) if ledger.kind == "flo" else 0
    if first:
        say(f"Coins that it got below block {first:,} are not counted. Where it had")
        say("some, set ledger.coins_height to the block of the first, or to 0, in")
        say(f"{FILE_NAME}; then run: etdb ledger follow")


def _read_key(file: str) -> str:
    if file == "-":
        return sys.stdin.read(_MAX_KEY_BYTES)
    _refuse_secret(file)
    try:
        with Path(file).open(encoding="ascii", errors="replace") as opened:
            return opened.read(_MAX_KEY_BYTES)
    except FileNotFoundError as exc:
        raise NotFoundError("file", file) from exc
    except (OSError, ValueError) as exc:
        msg = f"cannot read a key from {file}: {exc}"
        raise InvalidDataError(msg) from exc


def _refuse_secret(argument: str) -> None:
    """Somebody may give the key itself, or mistype it; no message may show it."""
    if _LIKE_A_KEY.fullmatch(argument) is None or Path(argument).exists():
        return
    msg = "that looks like a key, not a file: your shell's history holds it now"
    raise InvalidDataError(
        msg, hint="remove it there; give the key in a file or on standard input"
    )


def _verify_chain(
    node: Node, imported: keys.ImportedKey, *, is_publisher: bool
) -> None:
    """A chain of one's own is signed by one key and pays to one, for ever.

    With another key nothing could be published any more (PROTOCOL R8).
    """
    path = keys_folder(node.folder) / keys.WALLET
    if is_publisher and node.chain is not None:
        own = node.chain.address
        is_same = imported.key.owns(own)
    else:
        # Where it is lost, nothing tells whose the coins are.
        held = keys.load_key(path) if path.exists() else imported.key
        own = held.address(TEST_P2PKH)
        is_same = held.public_key == imported.key.public_key
    if not is_same:
        said = "is signed by" if is_publisher else "pays to"
        msg = f"this node's own chain {said} {own} for ever"
        raise ConflictError(msg, hint="another key needs a new node: etdb init FOLDER")


def _passphrase(file: Path | None, *, confirm: bool) -> str:
    if file is not None:
        try:
            return file.read_text("utf-8").splitlines()[0]
        except (OSError, UnicodeDecodeError, IndexError) as exc:
            msg = f"cannot read a passphrase from {file}: {exc}"
            raise InvalidDataError(msg) from exc
    if not sys.stdin.isatty():
        msg = "nobody is there to type a passphrase"
        raise UsageError(msg, hint="use --passphrase-file FILE")
    return str(
        typer.prompt(
            "Passphrase", hide_input=True, confirmation_prompt=confirm, err=True
        )
    )
