"""Looking for new blocks while the site is served.

This loop is an edge of the process: whatever goes wrong in it is said on the
status page and tried again, and never stops the site.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from etdb.errors import EtdbError

EVERY_S = 1.0

_log = logging.getLogger(__name__)


Stop = Callable[[], bool]
"""Whether to end early, asked between batches of work."""


class Following:
    """Calls `step` again and again; `problem` says why the last call failed."""

    def __init__(
        self, step: Callable[[Stop], object], every_s: float = EVERY_S
    ) -> None:
        self._step = step
        self._every_s = every_s
        self._is_stopped = threading.Event()
        self._end = asyncio.Event()
        self.problem = ""

    def stop(self) -> None:
        """Let `run` return; a step that is under way is told to end early."""
        self._is_stopped.set()
        self._end.set()

    async def run(self) -> None:
        """Follow until stopped. A step is never left behind: it may be writing."""
        while not self._end.is_set():
            try:
                await run_in_threadpool(self._step, self._is_stopped.is_set)
            except EtdbError as exc:
                self.problem = exc.message
            except Exception:  # noqa: BLE001 - an edge: said and logged
                _log.exception("following failed")
                self.problem = "something went wrong on this node"
            else:
                self.problem = ""
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._end.wait(), self._every_s)
