"""The blocks of an embedded chain give a coin book the chain's own coins."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from etdb.ledger.base import SignedTransaction, Tip
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.coins import Coins
from etdb.ledger.flo.file import BlockFile
from etdb.ledger.flo.local import EmbeddedChain
from etdb.ledger.flo.wallet import Wallet
from etdb.record.signing import PrivateKey

WALLET = PrivateKey.from_bytes(b"\x02" * 32)


class Raw:
    """The file of an embedded chain, as a source of whole blocks."""

    def __init__(self, folder: Path) -> None:
        self._file = BlockFile(folder)

    def tip(self) -> Tip:
        """The last block."""
        self._file.read_on()
        return self._file.tip()

    def iter_raw_blocks(self, first: int, last: int) -> Iterator[tuple[int, FloBlock]]:
        """Each with its height."""
        for height in range(first, min(last, self.tip().height) + 1):
            yield height, self._file.block(height)


def test_its_coins_are_those_that_the_chain_is_checked_against(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    for number in range(3):
        chain.send([chain.compose(b"%d" % number) for _ in range(10)])
    source, wallet, coins = Raw(tmp_path / "chain"), Wallet(WALLET), Coins()
    for height, block in source.iter_raw_blocks(0, 999):
        for transaction in block.transactions:
            coins.apply(transaction, height)

    with CoinBook.open(tmp_path / "coins", wallet.script, chain.info.id) as book:
        book.sync(source)

        assert dict(book.iter_own(wallet.script)) == dict(coins.iter_own(wallet.script))
        for outpoint, coin in coins.iter_own(wallet.script):
            assert book.find(outpoint) == coin


def test_a_wallet_fed_by_the_book_makes_what_the_chain_takes(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    source, wallet = Raw(tmp_path / "chain"), Wallet(WALLET)
    with CoinBook.open(tmp_path / "coins", wallet.script, chain.info.id) as book:
        for _ in range(3):
            book.sync(source)
            wallet.load(book, chain.tip().height + 1)
            made = wallet.compose(b"text")
            wallet.note_pending(made)

            chain.send([SignedTransaction(made.txid, made.encode(), 0)])

            book.sync(source)
            assert book.find_height(made.txid) == chain.tip().height
