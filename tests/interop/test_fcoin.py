"""A real FLO node takes the embedded chain for what it is: FLO.

fcoin checks headers, work, roots, subsidies, coins and signatures by its own
code, and knows nothing of ours.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import pytest

from etdb.errors import InvalidDataError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.flo.block import FloBlock, mine
from etdb.ledger.flo.local import EmbeddedChain
from etdb.ledger.flo.seal import Inspector
from etdb.record.signing import TEST_P2PKH, PrivateKey
from etdb.testing.crash import (
    PUBLISHER,
    WALLET,
    edit,
    make_datasets,
    register,
    withdraw,
)
from etdb.testing.crash import publish as publish_datasets

TEXTS = [b"json:{}", "é".encode() * 520, b"\xff\x00\x80 binary", b"x" * 1040, b"y"]
BEYOND_BIP65 = 1360
GROUP = 2_500


class Fcoin(Protocol):
    def call(self, method: str, *params: object) -> object: ...


@pytest.fixture
def chain(tmp_path: Path) -> EmbeddedChain:
    key = PrivateKey.generate()
    return EmbeddedChain.create(
        tmp_path / "chain",
        publisher=key,
        wallet=PrivateKey.generate(),
        address=key.address(TEST_P2PKH),
    )


def publish(chain: EmbeddedChain, texts: Sequence[bytes]) -> None:
    chain.send([chain.compose(text) for text in texts])


def raw_blocks(chain: EmbeddedChain) -> list[str]:
    blocks = chain.iter_raw_blocks(1, chain.tip().height)
    return [block.encode().hex() for _, block in blocks]


def feed(fcoin: Fcoin, blocks: Sequence[str]) -> None:
    for height, raw in enumerate(blocks, 1):
        assert fcoin.call("submitblock", raw) is None, height


def test_fcoin_takes_a_whole_embedded_chain_and_ends_on_its_tip(
    chain: EmbeddedChain, fcoin: Fcoin
) -> None:
    publish(chain, TEXTS)
    publish(chain, [b"x" * 1040] * 700)
    blocks = raw_blocks(chain)
    assert fcoin.call("getbestblockhash") == chain.block(0).hash

    feed(fcoin, blocks)

    assert fcoin.call("getblockcount") == chain.tip().height == 113
    assert fcoin.call("getbestblockhash") == chain.tip().hash
    assert fcoin.call("getrawmempool") == []
    for height, raw in enumerate(blocks, 1):
        block_hash = chain.block(height).hash
        assert fcoin.call("getblockhash", height) == block_hash
        assert fcoin.call("getblock", block_hash, False) == raw


def test_fcoin_takes_the_chain_of_a_node_that_said_all_there_is_to_say(
    tmp_path: Path, fcoin: Fcoin
) -> None:
    node = tmp_path / "node"
    node.mkdir()
    make_datasets(node)
    chain = EmbeddedChain.create(
        node / "chain",
        publisher=PUBLISHER,
        wallet=WALLET,
        address=PUBLISHER.address(),
    )
    for say in (publish_datasets, edit, register, withdraw):
        say(node, chain)

    feed(fcoin, raw_blocks(chain))

    assert fcoin.call("getbestblockhash") == chain.tip().hash
    with Index.create(tmp_path / "fresh.sqlite", [chain.info]) as fresh:
        follow(fresh, chain)
        counts = queries.status(fresh)
    assert (counts["records"], counts["withdrawn"]) == (1, 1)


@pytest.mark.slow
def test_fcoin_takes_a_chain_of_over_10_000_records(
    chain: EmbeddedChain, fcoin: Fcoin
) -> None:
    texts = [f"json:{number:05d}".encode().ljust(1_040) for number in range(10_100)]
    for first in range(0, len(texts), GROUP):
        publish(chain, texts[first : first + GROUP])

    feed(fcoin, raw_blocks(chain))

    assert fcoin.call("getbestblockhash") == chain.tip().hash
    blocks = chain.iter_blocks(111, chain.tip().height)
    carried = [one.data for block in blocks for one in block.carried if one.position]
    assert carried == texts


def test_fcoin_agrees_when_subsidies_halve_and_coinbases_are_spent(
    chain: EmbeddedChain, fcoin: Fcoin
) -> None:
    """With ETDB_FULL=1 also where BIP66 and BIP65 come into force."""
    last = BEYOND_BIP65 if os.environ.get("ETDB_FULL") else 160
    while chain.tip().height < last:
        publish(chain, [b"said"])
    publish(chain, [b"said"] * 150)

    feed(fcoin, raw_blocks(chain))

    assert fcoin.call("getbestblockhash") == chain.tip().hash


def test_fcoin_takes_composed_transactions_into_its_mempool(
    chain: EmbeddedChain, fcoin: Fcoin
) -> None:
    """It answers before it has decided, so its mempool is asked until it has."""
    feed(fcoin, raw_blocks(chain))
    txids = []
    for item in [chain.compose(text) for text in TEXTS]:
        assert fcoin.call("sendrawtransaction", item.raw.hex()) == item.txid
        txids.append(item.txid)

    deadline = time.monotonic() + 30
    mempool: list[str] = []
    while len(mempool) < len(txids) and time.monotonic() < deadline:
        answer = fcoin.call("getrawmempool")
        assert isinstance(answer, list)
        mempool = answer

    assert sorted(mempool) == sorted(txids)


def test_fcoin_refuses_altered_flo_data_as_we_do(
    chain: EmbeddedChain, fcoin: Fcoin
) -> None:
    publish(chain, TEXTS)
    *before, last = raw_blocks(chain)
    block = FloBlock.parse(bytes.fromhex(last))
    first, said, *others = block.transactions
    altered = FloBlock(block.header, (first, replace(said, flo_data=b"no"), *others))
    header = replace(block.header, root=altered.merkle_root(), nonce=0)
    altered = replace(altered, header=mine(header))
    feed(fcoin, before)

    refusal = fcoin.call("submitblock", altered.encode().hex())

    assert refusal is not None
    assert fcoin.call("getblockcount") == 110
    inspector = Inspector()
    for raw in before:
        inspector.verify_next(FloBlock.parse(bytes.fromhex(raw)))
    with pytest.raises(InvalidDataError):
        inspector.verify_next(altered)
    assert fcoin.call("submitblock", last) is None
    assert fcoin.call("getbestblockhash") == chain.tip().hash
