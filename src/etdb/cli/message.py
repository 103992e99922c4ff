"""`etdb message`: what stands on a ledger, taken apart."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from json import dumps
from pathlib import Path
from typing import Annotated, Any

import typer

from etdb.cli.options import JsonOption
from etdb.cli.terminal import show, show_facts, show_json
from etdb.errors import InvalidDataError
from etdb.identity import Address, encode_address, parse_address
from etdb.ledger.flo.fee import show_flo
from etdb.ledger.flo.script import coverage_of, find_unlock
from etdb.ledger.flo.tx import Transaction
from etdb.record.explain import Explanation, Joined, explain, explain_parts
from etdb.record.message import Coverage, Kind, kind_of
from etdb.record.signing import MAIN_P2PKH, TEST_P2PKH, hash160

MAX_INPUT_BYTES = 4 << 20
"""More than any transaction of a block in hex."""

_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){10,}\Z")
_PATH = re.compile(r"[^\s:{(]*[./\\][^\s:{(]*\Z")
_COVERAGE = {
    Coverage.COVERED: "its signature covers the floData",
    Coverage.OMITTED: "its signature leaves floData out: anybody could have"
    " replaced it; authorship rests on the record's signature",
    Coverage.UNKNOWN: "whether its signature covers the floData cannot be told"
    " from the transaction alone",
}
_P2SH = (94, 58)
_MAX_CELL_CHARACTERS = 400


@dataclass(frozen=True)
class _Item:
    """One thing to decode: a text, and the transaction that carries it."""

    text: str
    transaction: Transaction | None = None


def decode(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="TEXT|FILE|TXHEX|-",
            help="A ledger's text, a transaction in hex, a file with either, or -"
            " for standard input. Several parts are joined.",
        ),
    ],
    publisher: Annotated[
        str | None,
        typer.Option(
            "--publisher",
            metavar="ADDRESS",
            help="Address whose record a historical edit or withdrawal is about:"
            " most do not name who signed them.",
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Explain any floData or transaction, and check its signatures.

    Nothing is looked up: everything is told from what is given. A file may
    hold one text, or one part or transaction a line.

    \b
    Examples:
        etdb message decode 'json:{"oip042":{"publish":{"artifact":{}}}}'
        etdb message decode part0.txt part1.txt
        curl -s https://explorer.example.org/rawtx/5c87 | etdb message decode -
    """
    address = _address(publisher)
    items = [item for word in what for item in _items(word)]
    carried = [
        (item.text, item.transaction.txid if item.transaction else None)
        for item in items
    ]
    joined = explain_parts(carried, publisher=address)
    told = [(item, explain(item.text, publisher=address)) for item in items]
    if json:
        show_json(
            {
                "messages": [_message_json(item, said) for item, said in told],
                "joined": [asdict(found) for found in joined],
            }
        )
        return
    for item, said in told:
        _print(item, said)
    for found in joined:
        _print_joined(found)


def _address(text: str | None) -> Address | None:
    if text is not None:
        parse_address(text)
    return None if text is None else Address(text)


def _items(word: str) -> Iterator[_Item]:
    text = _given(word)
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if len(lines) > 1 and all(_stands_alone(line) for line in lines):
        yield from map(_item, lines)
    else:
        yield _item(text)


def _given(word: str) -> str:
    """What an argument stands for: standard input, a file's content, itself."""
    if word == "-":
        return _text_of(sys.stdin.buffer.read(MAX_INPUT_BYTES + 1), "standard input")
    try:
        path = Path(word)
        if path.is_file():
            with path.open("rb") as file:
                return _text_of(file.read(MAX_INPUT_BYTES + 1), word)
    except (ValueError, OSError):
        # Too long for a name, or not to be opened: then it is what it says.
        pass
    if not word.strip():
        msg = "there is nothing to decode"
        raise InvalidDataError(msg, hint="give a text, a file, or - to read one")
    if _PATH.match(word) is not None:
        msg = f"neither a file that can be read nor a ledger's text: {word[:80]}"
        raise InvalidDataError(msg)
    return word


def _text_of(data: bytes, name: str) -> str:
    if len(data) > MAX_INPUT_BYTES:
        msg = f"{name} is longer than {MAX_INPUT_BYTES} bytes"
        raise InvalidDataError(msg)
    return data.decode("utf-8", "surrogateescape").removesuffix("\n").removesuffix("\r")


def _stands_alone(line: str) -> bool:
    return _HEX.match(line) is not None or kind_of(line) is Kind.PART


def _item(text: str) -> _Item:
    digits = text.strip()
    if _HEX.match(digits) is None:
        return _Item(text)
    try:
        transaction = Transaction.parse(bytes.fromhex(digits))
    except InvalidDataError as exc:
        msg = f"hex that is no FLO transaction: {exc.message}"
        hint = "an id is not enough: give the whole raw transaction"
        raise InvalidDataError(msg, hint=hint if len(digits) == 64 else "") from exc
    return _Item(transaction.flo_data.decode("utf-8", "surrogateescape"), transaction)


def _transaction_json(transaction: Transaction) -> dict[str, Any]:
    data = transaction.flo_data
    return {
        "txid": transaction.txid,
        "version": transaction.version,
        "size_bytes": len(transaction.encode()),
        "lock_time": transaction.lock_time,
        "inputs": [
            {
                "spends": f"{item.outpoint.txid_bytes[::-1].hex()}:"
                f"{item.outpoint.output}",
                "is_coinbase": transaction.is_coinbase,
                "addresses": _input_addresses(item.script),
            }
            for item in transaction.inputs
        ],
        "outputs": [
            {"value_sat": item.value_sat, "addresses": _output_addresses(item.script)}
            for item in transaction.outputs
        ],
        "flo_data_bytes": len(data),
        "flo_data_encoding": _encoding(data),
        "coverage": coverage_of(transaction).value,
        "coverage_says": _coverage_says(transaction),
    }


def _coverage_says(transaction: Transaction) -> str:
    if transaction.is_coinbase:
        return "none: a coinbase says what the author of its block says"
    return _COVERAGE[coverage_of(transaction)]


def _input_addresses(script: bytes) -> list[Address]:
    unlock = find_unlock(script)
    return [] if unlock is None else _key_addresses(hash160(unlock.public_key))


def _output_addresses(script: bytes) -> list[Address]:
    match len(script), script[:3], script[:2]:
        case 25, b"\x76\xa9\x14", _ if script.endswith(b"\x88\xac"):
            return _key_addresses(script[3:23])
        case 23, _, b"\xa9\x14" if script.endswith(b"\x87"):
            return [encode_address(version, script[2:22]) for version in _P2SH]
    return []


def _key_addresses(key_hash: bytes) -> list[Address]:
    """On FLO main, and on its test networks: a transaction does not say which."""
    return [encode_address(version, key_hash) for version in (MAIN_P2PKH, TEST_P2PKH)]


def _encoding(data: bytes) -> str:
    if not data:
        return "none"
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return "not UTF-8"
    return "ASCII" if data.isascii() else "UTF-8"


def _message_json(item: _Item, said: Explanation) -> dict[str, Any]:
    transaction = item.transaction
    return {
        "transaction": None if transaction is None else _transaction_json(transaction),
        "message": asdict(said),
    }


def _print(item: _Item, said: Explanation) -> None:
    if item.transaction is not None:
        show_facts(_transaction_facts(_transaction_json(item.transaction)))
    _print_message(said)


def _transaction_facts(facts: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "transaction", facts["txid"]
    yield "version", f"{facts['version']}, {facts['size_bytes']:,} bytes"
    for number, item in enumerate(facts["inputs"]):
        by = "new coins" if item["is_coinbase"] else item["spends"]
        yield f"input {number}", f"{by}  {_either(item['addresses'])}"
    for number, item in enumerate(facts["outputs"]):
        value = show_flo(item["value_sat"])
        yield f"output {number}", f"{value}  {_either(item['addresses'])}"
    size, encoding = facts["flo_data_bytes"], facts["flo_data_encoding"]
    yield "floData", f"{size:,} bytes, {encoding}"
    yield "coverage", facts["coverage_says"]


def _either(addresses: Sequence[str]) -> str:
    return " or ".join(addresses) or "another script"


def _print_message(said: Explanation) -> None:
    show(f"{said.says}  ({said.size_bytes:,} bytes)")
    show_facts((f"  {name}", _cell(value)) for name, value in said.facts.items())
    for check in said.checks:
        show(f"  {'holds' if check.holds else 'FAILS'}  {check.name}: {check.says}")
    by_verdict: dict[str, list[str]] = {}
    for outcome in said.outcomes:
        is_said = outcome.verdict not in {"rejected", "ignored"}
        verdict = outcome.says if is_said else f"{outcome.verdict}, {outcome.says}"
        by_verdict.setdefault(verdict, []).append(outcome.ledger)
    for verdict, ledgers in by_verdict.items():
        where = "any ledger" if len(by_verdict) == 1 else ", ".join(ledgers)
        show(f"  on {where}: {verdict}")
    show("")


def _print_joined(found: Joined) -> None:
    show(found.says)
    if found.message is not None:
        _print_message(found.message)


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else dumps(value, ensure_ascii=False)
    shown = text[:_MAX_CELL_CHARACTERS]
    return shown + ("…" if len(text) > _MAX_CELL_CHARACTERS else "")
