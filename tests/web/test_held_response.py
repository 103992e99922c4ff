"""A single block as an answer: held in memory until it is taken, and bounded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
from starlette.types import Message

from etdb.errors import UnavailableError
from etdb.testing.loop import run_alone
from etdb.web.stream import SMALL_PER_STREAM, HeldResponse, Slots

BLOCK = b"block"


class Reader:
    """A client that takes what it was sent when it is told to."""

    def __init__(self, slot: contextlib.AbstractContextManager[None]) -> None:
        self.sent: list[Message] = []
        self.is_waiting = asyncio.Event()
        self.takes = asyncio.Event()
        self._answer = HeldResponse(slot, [BLOCK], 200, {"ETag": '"x"'})

    async def ask(self) -> None:
        await self._answer({"type": "http"}, self._receive, self._send)

    async def _receive(self) -> Message:
        raise AssertionError

    async def _send(self, message: Message) -> None:
        # As the server does: the next piece waits until the last one is taken.
        if message["type"] == "http.response.body" and not message["more_body"]:
            self.is_waiting.set()
            await self.takes.wait()
        self.sent.append(message)


@contextlib.asynccontextmanager
async def waiting(readers: list[Reader]) -> AsyncIterator[None]:
    """Readers that were sent a block and have not taken it."""
    async with asyncio.TaskGroup() as group:
        for reader in readers:
            group.create_task(reader.ask())
            await reader.is_waiting.wait()
        yield
        for reader in readers:
            reader.takes.set()


def test_blocks_that_nobody_takes_are_bounded() -> None:
    async def scenario() -> None:
        slots = Slots(1)
        slow = [Reader(slots.held(is_small=True)) for _ in range(SMALL_PER_STREAM)]
        async with waiting(slow):
            refused = Reader(slots.held(is_small=True))
            with pytest.raises(UnavailableError):
                await refused.ask()
            assert refused.sent == []
        served = Reader(slots.held(is_small=True))
        served.takes.set()
        await served.ask()
        start, body, end = served.sent
        assert start["status"] == 200
        assert (b"content-length", b"5") in start["headers"]
        assert body["body"] + end["body"] == BLOCK

    run_alone(scenario())


def test_without_slots_there_would_be_any_number() -> None:
    async def scenario() -> None:
        readers = [Reader(contextlib.nullcontext()) for _ in range(50)]
        async with waiting(readers):
            assert all(reader.is_waiting.is_set() for reader in readers)

    run_alone(scenario())
