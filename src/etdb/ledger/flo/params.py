"""The three FLO networks (flo reference §1).

All begin with the same coinbase; only the header before it differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from etdb.ledger.base import LedgerInfo
from etdb.ledger.flo.block import FloBlock, Header
from etdb.ledger.flo.tx import Transaction
from etdb.record.message import LedgerKind
from etdb.record.signing import MAIN_P2PKH, TEST_P2PKH

_GENESIS_COINBASE = bytes.fromhex(
    "0200000001"
    "0000000000000000000000000000000000000000000000000000000000000000ffffffff"
    "4904ffff001d010441"
    "536c617368646f74202d203137204a756e652032303133202d20536175646920417261626961"
    "2053657420546f2042616e2057686174734170702c20536b797065"
    "ffffffff"
    "0100e40b5402000000434104"
    "0184710fa689ad5023690c80f3a49c8f13f8d45b8c857fbcbc8bc4a8e4d3eb4b"
    "10f4d4604fa08dce601aaf0f470216fe1b51850b4acf21b179c45070ac7b03a9"
    "ac00000000"
    "1d746578743a466c6f72696e636f696e2067656e6573697320626c6f636b"
)


@dataclass(frozen=True)
class Params:
    """What differs between networks."""

    kind: LedgerKind
    halving_blocks: int
    bits: int
    """The easiest target, which the first block and regtest's all have."""
    genesis_time: int
    genesis_nonce: int
    max_reorg_blocks: int
    """A branch that leaves the chain deeper is refused by its nodes."""
    address_version: int
    """The first byte of an address of a key (P2PKH)."""
    first_records: int
    """No tomogram was published below this height."""

    def info(self, first_height: int) -> LedgerInfo:
        """The network as a ledger that is read from a height on."""
        genesis = str(self.genesis().header.hash)
        return LedgerInfo(genesis, self.kind, first_height, self.max_reorg_blocks)

    def genesis(self) -> FloBlock:
        """Block 0; its coin can never be spent."""
        transaction = Transaction.parse(_GENESIS_COINBASE)
        root = transaction.txid_bytes
        header = Header(
            1, bytes(32), root, self.genesis_time, self.bits, self.genesis_nonce
        )
        return FloBlock(header, (transaction,))


MAIN = Params(
    kind=LedgerKind.FLO_MAIN,
    halving_blocks=800_000,
    bits=0x1E0FFFF0,
    genesis_time=1371488396,
    genesis_nonce=1000112548,
    max_reorg_blocks=100,
    address_version=MAIN_P2PKH,
    first_records=2_700_000,
)
TEST = Params(
    kind=LedgerKind.FLO_TEST,
    halving_blocks=800_000,
    bits=0x1E0FFFF0,
    genesis_time=1371387277,
    genesis_nonce=1000580675,
    max_reorg_blocks=50,
    address_version=TEST_P2PKH,
    first_records=0,
)
REGTEST = Params(
    kind=LedgerKind.FLO_REGTEST,
    halving_blocks=150,
    bits=0x207FFFFF,
    genesis_time=1371387277,
    genesis_nonce=0,
    max_reorg_blocks=10,
    address_version=TEST_P2PKH,
    first_records=0,
)
NETWORKS: Mapping[str, Params] = MappingProxyType(
    {"main": MAIN, "test": TEST, "regtest": REGTEST}
)
"""By the words of the settings."""
