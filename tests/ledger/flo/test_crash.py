"""A chain whose writer is killed goes on where it was."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from etdb.errors import UnavailableError
from etdb.identity import Txid
from etdb.ledger.flo.local import EmbeddedChain
from etdb.testing.resources import disk_full_at

OPEN = """
import json, os, pathlib, resource, signal, sys
from etdb.ledger.flo.local import EmbeddedChain
from etdb.record.signing import PrivateKey

folder = pathlib.Path(sys.argv[1])
chain = EmbeddedChain.open(
    folder,
    publisher=PrivateKey.from_bytes(b"\\x01" * 32),
    wallet=PrivateKey.from_bytes(b"\\x02" * 32),
)
"""

PUBLISH_UNTIL_KILLED = (
    OPEN
    + """
for number in range(1_000_000):
    group = [chain.compose(b"%d" % number) for _ in range(3)]
    chain.send(group)
    print(json.dumps([item.txid for item in group]), flush=True)
"""
)

KILLED_AT_EACH_BYTE = (
    OPEN
    + """
# The kernel ends a process that writes beyond its limit: exactly so many
# bytes of the group are on disk then, as after kill -9 at that byte.
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
path = folder / "blocks.log"
whole = path.read_bytes()
group = [chain.compose(b"x" * 100) for _ in range(3)]
for written in json.loads(sys.argv[2]):
    child = os.fork()
    if child == 0:
        limit = len(whole) + written
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        chain.send(group)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    (folder / f"{written}.log").write_bytes(path.read_bytes())
    print(written, os.WTERMSIG(status), flush=True)
    path.write_bytes(whole)
"""
)


def test_whatever_was_acknowledged_outlives_kill_9_at_any_time(
    chain: EmbeddedChain, tmp_path: Path, reopen: Callable[[], EmbeddedChain]
) -> None:
    chance = random.Random(20)
    acknowledged: list[Txid] = []
    for _ in range(4):
        with subprocess.Popen(
            [sys.executable, "-c", PUBLISH_UNTIL_KILLED, tmp_path / "chain"],
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            for _ in range(chance.randrange(1, 6)):
                acknowledged += json.loads(process.stdout.readline())
            # Somewhere inside the next send, at no time of our choosing.
            process.kill()
            rest = process.stdout.read().splitlines()
        acknowledged += [txid for line in rest for txid in json.loads(line)]

        found = reopen()
        found.verify()
        assert chain.tip() == found.tip()
        blocks = found.iter_blocks(111, found.tip().height)
        mined = {one.txid for block in blocks for one in block.carried}
        assert mined >= {*acknowledged}

    found.send([found.compose(b"goes on")])
    reopen().verify()


def test_a_group_killed_at_any_byte_is_cut_said_and_can_be_sent_again(
    chain: EmbeddedChain, tmp_path: Path, reopen: Callable[[], EmbeddedChain]
) -> None:
    folder = tmp_path / "chain"
    interesting = [0, 1, 4, 7, 8, 9, 15, 16, 17, 95, 96, 97, 300, 700]

    done = subprocess.run(
        [sys.executable, "-c", KILLED_AT_EACH_BYTE, folder, json.dumps(interesting)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )

    sigxfsz = 25
    assert done.stdout.splitlines() == [f"{size} {sigxfsz}" for size in interesting]
    for written in interesting:
        (folder / "blocks.log").write_bytes((folder / f"{written}.log").read_bytes())
        found = reopen()
        assert found.tip() == chain.tip()
        assert found.torn_bytes == written
        assert reopen().torn_bytes == 0
        found.send([found.compose(b"again")])
        reopen().verify()


def test_a_torn_tail_leaves_the_blocks_before_it(
    chain: EmbeddedChain, tmp_path: Path, reopen: Callable[[], EmbeddedChain]
) -> None:
    path = tmp_path / "chain" / "blocks.log"
    start = path.stat().st_size
    chain.send([chain.compose(b"one"), chain.compose(b"two")])
    whole = path.read_bytes()
    for size in range(start, len(whole), 11):  # every byte: tests/test_durable.py
        path.write_bytes(whole[:size])
        found = EmbeddedChain.open(tmp_path / "chain")

        assert (found.tip().height, found.torn_bytes) == (110, size - start)

    path.write_bytes(whole)
    assert reopen().tip() == chain.tip()


def test_a_full_disk_leaves_the_chain_and_the_same_group_goes_later(
    chain: EmbeddedChain, tmp_path: Path, reopen: Callable[[], EmbeddedChain]
) -> None:
    path = tmp_path / "chain" / "blocks.log"
    whole = path.read_bytes()
    group = [chain.compose(b"x" * 1000) for _ in range(900)]

    with (
        disk_full_at(len(whole) + 800_000),
        pytest.raises(UnavailableError, match="cannot write"),
    ):
        chain.send(group)

    assert path.read_bytes() == whole
    assert chain.tip().height == 110
    chain.send(group)
    assert chain.tip().height == 112
    reopen().verify()
