"""Content of known CIDs, and a store in a temporary folder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms

from etdb.store.inplace import Disk, InPlaceStore
from etdb.store.unixfs import (
    KUBO_CID_V1_RAW_LEAVES,
    UNIXFS_V0_2015,
    UNIXFS_V1_2025,
    Profile,
    ShardRule,
)

HOUR_NS = 3600 * 10**9
ZEROS = bytes(1 << 20)

Keystream = Callable[[str, int, int], Iterator[bytes]]


@pytest.fixture(scope="session")
def keystream() -> Keystream:
    """(seed, size, step) -> the vectors' data in pieces of `step` bytes."""

    def generate(seed: str, size: int, step: int) -> Iterator[bytes]:
        key = hashlib.sha256(seed.encode()).digest()
        stream = Cipher(algorithms.ChaCha20(key, bytes(16)), None).encryptor()
        for start in range(0, max(1, size), step):
            yield stream.update(ZEROS[: min(step, size - start)])

    return generate


@pytest.fixture(scope="session")
def tiny() -> Profile:
    """The vectors' test profile: deep trees from little data."""
    return Profile("tiny-64-w4", 64, 4, 1, True, ShardRule.BLOCK)


@pytest.fixture(scope="session")
def profiles(tiny: Profile) -> dict[str, Profile]:
    """The vectors' profiles by name."""
    known = (UNIXFS_V1_2025, UNIXFS_V0_2015, KUBO_CID_V1_RAW_LEAVES, tiny)
    return {profile.name: profile for profile in known}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[InPlaceStore]:
    """An empty store on disk."""
    with InPlaceStore.create(tmp_path / "store.sqlite") as opened:
        yield opened


class Reads:
    """Counts the bytes that an import reads."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, handle: int, buffers: Sequence[memoryview], offset: int) -> int:
        done = os.preadv(handle, buffers, offset)
        self.count += done
        return done

    def take(self) -> int:
        """The bytes read since the last call."""
        taken, self.count = self.count, 0
        return taken


@pytest.fixture
def reads() -> Reads:
    """What `watched` reads."""
    return Reads()


@pytest.fixture
def watched(tmp_path: Path, reads: Reads) -> Iterator[InPlaceStore]:
    """A store whose clock runs an hour ahead, so that all files look settled."""
    disk = Disk(reads, lambda: time.time_ns() + HOUR_NS)
    with InPlaceStore.create(tmp_path / "watched.sqlite", disk) as opened:
        yield opened
