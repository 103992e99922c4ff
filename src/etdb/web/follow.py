"""Looking for new blocks while the site is served.

This loop is an edge of the process: whatever goes wrong in it is said on the
status page and tried again, and never stops the site.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool

from etdb.errors import EtdbError

EVERY_S = 1.0

_log = logging.getLogger(__name__)


class Following:
    """Calls `step` again and again; `problem` says why the last call failed."""

    def __init__(self, step: Callable[[], object], every_s: float = EVERY_S) -> None:
        self._step = step
        self._every_s = every_s
        self.problem = ""

    async def run(self) -> None:
        """Follow until cancelled; a call that is under way is finished first."""
        while True:
            try:
                await run_in_threadpool(self._step)
            except EtdbError as exc:
                self.problem = exc.message
            except Exception:  # noqa: BLE001 - an edge: said and logged
                _log.exception("following failed")
                self.problem = "something went wrong on this node"
            else:
                self.problem = ""
            await asyncio.sleep(self._every_s)
