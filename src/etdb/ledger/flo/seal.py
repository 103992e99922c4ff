"""What makes a FLO regtest chain an embedded one: its blocks are signed (R8).

The coinbase's floData is the publisher's signature over the block's text;
block 1 also declares whose chain it is, and its hash is the chain's id. Pure:
files and coins are elsewhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from etdb.errors import InvalidDataError
from etdb.identity import Address
from etdb.ledger.flo.block import (
    BLOCK_VERSION,
    FloBlock,
    Header,
    coinbase,
    merkle_root,
    mine,
    show_hash,
)
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.tx import Transaction, TxOut
from etdb.record.signing import PrivateKey, verify_strict_message

MAX_BLOCK_BYTES = 1_000_000
_AMBIGUOUS_BYTES = 64
"""A transaction of this size could pass as a node of the merkle tree."""

_DECLARATION = re.compile(
    r"(etdb-chain:1:([1-9A-HJ-NP-Za-km-z]{26,36}):[0-9a-f]{32}:"
    r"(?:[0-9a-f]{64}:(?:0|[1-9][0-9]*):[0-9a-f]{64})?):([^:]*)"
)


@dataclass(frozen=True)
class Declaration:
    """Whose chain it is: block 1's floData up to its last colon."""

    text: str
    address: Address


@dataclass(frozen=True)
class Draft:
    """A block before it is signed; the payout is its coinbase's output."""

    height: int
    parent: Header
    time: int
    transactions: tuple[Transaction, ...]
    payout: TxOut


def declare(address: Address, random_hex: str) -> Declaration:
    """The declaration of a chain that continues no other; 32 random hex digits."""
    return Declaration(f"etdb-chain:1:{address}:{random_hex}:", address)


def parse_declaration(flo_data: bytes) -> tuple[Declaration, str]:
    """Block 1's floData: declaration and signature. Raises InvalidDataError."""
    match = _DECLARATION.fullmatch(flo_data.decode("ascii", "replace"))
    if match is None:
        msg = "block 1 does not declare an embedded chain"
        raise InvalidDataError(msg, rule="R8")
    return Declaration(match[1], Address(match[2])), match[3]


def block_text(height: int, header: Header, unsigned_root: bytes) -> str:
    """What is signed of a block, without block 1's declaration.

    `unsigned_root` is the merkle root with the coinbase's floData empty.
    """
    said = ":".join(
        (
            str(height),
            show_hash(header.previous),
            str(header.version),
            str(header.time),
            str(header.bits),
            show_hash(unsigned_root),
        )
    )
    return "etdb:1:block:" + hashlib.sha256(said.encode("ascii")).hexdigest()


def seal(draft: Draft, key: PrivateKey, declaration: Declaration | None) -> FloBlock:
    """The signed and mined block; block 1 needs the declaration."""
    unsigned = coinbase(draft.height, draft.payout)
    header = Header(
        version=BLOCK_VERSION,
        previous=draft.parent.hash_bytes,
        root=_root((unsigned, *draft.transactions)),
        time=draft.time,
        bits=REGTEST.bits,
        nonce=0,
    )
    text = block_text(draft.height, header, header.root)
    flo_data = ""
    if declaration is not None:
        text += f":{declaration.text}"
        flo_data = f"{declaration.text}:"
    flo_data += key.sign_message(text)
    signed = replace(unsigned, flo_data=flo_data.encode("ascii"))
    transactions = (signed, *draft.transactions)
    return FloBlock(mine(replace(header, root=_root(transactions))), transactions)


class Inspector:
    """Checks the blocks of an embedded chain, one after the other from block 1.

    Headers, proof of work, roots and block signatures (R8, R9); what the
    transactions spend is not its affair.
    """

    def __init__(self) -> None:
        self.height = 0
        self.declaration: Declaration | None = None
        self._parent = REGTEST.genesis().header
        self._seen: set[bytes] = set()

    def verify_next(self, block: FloBlock) -> None:
        """The next block belongs there. Raises InvalidDataError."""
        try:
            self._verify_header(block.header)
            self._verify_transactions(block)
            self._verify_signature(block)
        except InvalidDataError as exc:
            msg = f"block {self.height + 1}: {exc.message}"
            raise InvalidDataError(msg, rule="R8", height=self.height + 1) from exc
        self.height += 1
        self._parent = block.header
        self._seen.update(item.txid_bytes for item in block.transactions)

    def _verify_header(self, header: Header) -> None:
        _require(header.previous == self._parent.hash_bytes, "not the tip's child")
        _require(header.time > self._parent.time, "not later than its parent")
        _require(header.bits == REGTEST.bits, "not regtest's target")
        _require(mine(header) == header, "not the smallest nonce that has the work")

    def _verify_transactions(self, block: FloBlock) -> None:
        first, *others = block.transactions
        txids = {item.txid_bytes for item in block.transactions}
        sizes = [item.size_bytes for item in block.transactions]
        _require(first.is_coinbase, "no coinbase")
        _require(not any(item.is_coinbase for item in others), "two coinbases")
        _require(not any(item.witness for item in block.transactions), "a witness")
        _require(_AMBIGUOUS_BYTES not in sizes, "a transaction of 64 bytes")
        _require(len(txids) == len(sizes), "a transaction twice")
        _require(txids.isdisjoint(self._seen), "a transaction of an earlier block")
        _require(len(block.encode()) <= MAX_BLOCK_BYTES, "over 1 MB")
        _require(block.merkle_root() == block.header.root, "wrong merkle root")

    def _verify_signature(self, block: FloBlock) -> None:
        first, *others = block.transactions
        root = _root((replace(first, flo_data=b""), *others))
        text = block_text(self.height + 1, block.header, root)
        if self.declaration is None:
            declaration, signature = parse_declaration(first.flo_data)
            text += f":{declaration.text}"
        else:
            declaration = self.declaration
            signature = first.flo_data.decode("ascii", "replace")
        verify_strict_message(declaration.address, signature, text)
        self.declaration = declaration


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise InvalidDataError(otherwise)


def _root(transactions: Sequence[Transaction]) -> bytes:
    return merkle_root([item.txid_bytes for item in transactions])
