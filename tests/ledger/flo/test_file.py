"""The file of blocks: what it holds follows, or it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.durable import Log
from etdb.errors import DamagedFileError, NotFoundError
from etdb.ledger.flo.block import FloBlock
from etdb.ledger.flo.file import BlockFile
from etdb.ledger.flo.local import EmbeddedChain
from etdb.ledger.flo.params import REGTEST


@pytest.fixture
def folder(chain: EmbeddedChain, tmp_path: Path) -> Path:
    chain.send([chain.compose(b"said")])
    return tmp_path / "chain"


def rewrite(folder: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    log = Log(folder / "blocks.log")
    entries = [entry for _, entry in log.read_new()]
    log.path.unlink()
    Log(log.path).append(change(entries))


def test_block_0_is_regtests_and_an_empty_folder_has_no_other(tmp_path: Path) -> None:
    file = BlockFile(tmp_path)

    assert file.tip().height == 0
    assert file.tip().hash == REGTEST.genesis().header.hash
    assert file.block(0) == REGTEST.genesis()
    assert list(tmp_path.iterdir()) == []


def test_every_block_is_found_by_its_height(folder: Path) -> None:
    file = BlockFile(folder)

    assert file.tip().height == 111
    for height in range(112):
        header = file.block(height).header
        assert header == file.header(height)


@pytest.mark.parametrize("height", [-1, 112])
def test_a_block_that_is_not_there_is_not_found(folder: Path, height: int) -> None:
    with pytest.raises(NotFoundError):
        BlockFile(folder).block(height)


def test_a_reader_finds_blocks_written_after_it_opened(
    chain: EmbeddedChain, tmp_path: Path
) -> None:
    reader = BlockFile(tmp_path / "chain")

    chain.send([chain.compose(b"said")])

    assert reader.tip().height == 110
    assert reader.block(111).transactions[1].flo_data == b"said"
    assert reader.tip().height == 111


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda entries: [*entries[:50], *entries[51:]], "block 51 does not follow"),
        (lambda entries: entries[1:], "block 1 does not follow"),
        (lambda entries: [*entries, b"x"], "no block"),
    ],
    ids=["one missing", "first missing", "no block"],
)
def test_a_file_whose_blocks_do_not_follow_is_refused(
    folder: Path, change: Callable[[list[bytes]], list[bytes]], reason: str
) -> None:
    rewrite(folder, change)

    with pytest.raises(DamagedFileError, match=reason) as caught:
        BlockFile(folder)

    assert caught.value.path == folder / "blocks.log"
    assert "cannot be made again" in caught.value.hint


def test_blocks_are_kept_as_they_were_sealed(folder: Path) -> None:
    entries = [entry for _, entry in Log(folder / "blocks.log").read_new()]

    assert [FloBlock.parse(entry).encode() for entry in entries] == entries
