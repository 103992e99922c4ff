"""Whole FLO transactions, as the document that FLO's own daemon gives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from etdb.errors import EtdbError, UnavailableError
from etdb.identity import encode_address
from etdb.index.oip.text import Said
from etdb.ledger.flo.params import NETWORKS
from etdb.ledger.flo.tx import Transaction, TxIn, TxOut
from etdb.record.message import LedgerKind

RawTransaction = Callable[[str, int, int], bytes]
"""A whole transaction by ledger, height and position; raises EtdbError."""

_SATOSHIS = 100_000_000
_TEST_P2SH = 58
_MAIN_P2SH = 94
_SEGWIT_SHARE = 4


class TransactionReader:
    """The whole transactions of one page. Not thread-safe: each page has its own.

    A ledger that does not answer once is not asked again: each time may last as
    long as the ledger's own patience.
    """

    def __init__(self, raw_transaction: RawTransaction) -> None:
        self._raw_transaction = raw_transaction
        self._silent: set[str] = set()

    def find(self, said: Said) -> Transaction | None:
        """The transaction that carries a text; None if its ledger does not give it."""
        if said.ledger in self._silent:
            return None
        try:
            raw = self._raw_transaction(said.ledger, said.height, said.position)
            found = Transaction.parse(raw)
        except UnavailableError:
            self._silent.add(said.ledger)
            return None
        except EtdbError:
            return None
        return found if found.txid == said.txid else None


def describe(transaction: Transaction, kind: LedgerKind) -> dict[str, Any]:
    """Everything that the bytes say; amounts in FLO, the text as well as it can be.

    Without what only the ledger knows: block and confirmations.
    """
    raw = transaction.encode()
    stripped = transaction.size_bytes
    weight = stripped * (_SEGWIT_SHARE - 1) + len(raw)
    return {
        "hex": raw.hex(),
        "txid": transaction.txid,
        "size": len(raw),
        "vsize": -(-weight // _SEGWIT_SHARE),
        "version": transaction.version,
        "locktime": transaction.lock_time,
        "vin": [_input(transaction, item) for item in transaction.inputs],
        "vout": [_output(at, o, kind) for at, o in enumerate(transaction.outputs)],
        "floData": transaction.flo_data.decode("utf-8", "replace"),
    }


def _input(transaction: Transaction, item: TxIn) -> dict[str, Any]:
    if transaction.is_coinbase:
        return {"coinbase": item.script.hex(), "sequence": item.sequence}
    return {
        "txid": item.outpoint.txid_bytes[::-1].hex(),
        "vout": item.outpoint.output,
        "scriptSig": {"hex": item.script.hex()},
        "sequence": item.sequence,
    }


def _output(at: int, output: TxOut, kind: LedgerKind) -> dict[str, Any]:
    sort, addresses = _read_script(output.script, kind)
    script: dict[str, Any] = {"hex": output.script.hex(), "type": sort}
    if addresses:
        script |= {"reqSigs": 1, "addresses": addresses}
    return {"value": output.value_sat / _SATOSHIS, "n": at, "scriptPubKey": script}


def _read_script(script: bytes, kind: LedgerKind) -> tuple[str, list[str]]:
    is_main = kind is LedgerKind.FLO_MAIN
    network = NETWORKS["main" if is_main else "regtest"]
    if (
        len(script) == 25
        and script[:3] == b"\x76\xa9\x14"
        and script[23:] == b"\x88\xac"
    ):
        return "pubkeyhash", [encode_address(network.address_version, script[3:23])]
    if len(script) == 23 and script[:2] == b"\xa9\x14" and script[22:] == b"\x87":
        version = _MAIN_P2SH if is_main else _TEST_P2SH
        return "scripthash", [encode_address(version, script[2:22])]
    return "nulldata" if script[:1] == b"\x6a" else "nonstandard", []
