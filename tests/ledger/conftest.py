"""An embedded chain of test keys; its addresses start with "o"."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from etdb.identity import Address
from etdb.ledger.flo.local import EmbeddedChain
from etdb.record.signing import TEST_P2PKH, PrivateKey


@dataclass(frozen=True)
class Keys:
    publisher: PrivateKey
    wallet: PrivateKey

    @property
    def address(self) -> Address:
        return self.publisher.address(TEST_P2PKH)


@pytest.fixture(scope="session")
def keys() -> Keys:
    return Keys(
        PrivateKey.from_bytes(b"\x01" * 32), PrivateKey.from_bytes(b"\x02" * 32)
    )


@pytest.fixture(scope="session")
def first_blocks(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    """The folder of a new chain of 110 blocks, to be copied."""
    folder = tmp_path_factory.mktemp("chain")
    EmbeddedChain.create(
        folder, publisher=keys.publisher, wallet=keys.wallet, address=keys.address
    )
    return folder


@pytest.fixture
def chain(
    first_blocks: Path, tmp_path: Path, reopen: Callable[[], EmbeddedChain]
) -> EmbeddedChain:
    """A new chain in `tmp_path / "chain"`, open to be written."""
    shutil.copytree(first_blocks, tmp_path / "chain")
    return reopen()


@pytest.fixture
def reopen(tmp_path: Path, keys: Keys) -> Callable[[], EmbeddedChain]:
    """Open the chain of `chain` again, with its keys, as a new process would."""

    def open_again() -> EmbeddedChain:
        return EmbeddedChain.open(
            tmp_path / "chain", publisher=keys.publisher, wallet=keys.wallet
        )

    return open_again
