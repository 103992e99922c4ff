"""What FLO nodes keep unconfirmed, and the coins on offer within that.

A node counts each unconfirmed transaction's ancestors and descendants; those
that hang together in any way are one package here, which is never less than
what it counts. A coin of a block starts a package of its own, so that many
coins carry many packages; what hangs on one unconfirmed fan-out is one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from etdb.errors import UnavailableError
from etdb.ledger.flo.fanout import LEAST_CHANGE_SAT
from etdb.ledger.flo.fee import carrier_bytes
from etdb.ledger.flo.tx import OutPoint

MAX_PACKAGE_TRANSACTIONS = 1_250
MAX_PACKAGE_BYTES = 1_750_000
FIRST = -1
"""The depth of a coin that is taken before all others."""


class Package:
    """Unconfirmed transactions that hang together; they only become more."""

    __slots__ = ("_into", "_size_bytes", "_transactions")

    def __init__(self, transactions: int = 0, size_bytes: int = 0) -> None:
        self._into: Package | None = None
        self._transactions = transactions
        self._size_bytes = size_bytes

    def root(self) -> Package:
        """The package that this one has become part of, or itself."""
        package = self
        while package._into is not None:
            package = package._into
        return package

    @property
    def transactions(self) -> int:
        """How many there are."""
        return self.root()._transactions

    @property
    def size_bytes(self) -> int:
        """What they come to."""
        return self.root()._size_bytes

    def has_room(self, size_bytes: int) -> bool:
        """Whether nodes take one more transaction of this size."""
        root = self.root()
        return (
            root._transactions < MAX_PACKAGE_TRANSACTIONS
            and root._size_bytes + size_bytes <= MAX_PACKAGE_BYTES
        )

    def add(self, size_bytes: int) -> None:
        """One more transaction."""
        root = self.root()
        root._transactions += 1
        root._size_bytes += size_bytes

    def join(self, other: Package) -> None:
        """A transaction hangs on both: they are one from now on."""
        root, joined = self.root(), other.root()
        if root is joined:
            return
        joined._into = root
        root._transactions += joined._transactions
        root._size_bytes += joined._size_bytes

    def copy(self) -> Package:
        """As full as this one, and apart from it."""
        return Package(self.transactions, self.size_bytes)


class Offer(NamedTuple):
    """A coin that may be spent; offers are sorted by what is taken first."""

    depth: int
    """How many unconfirmed transactions it hangs on, or FIRST."""
    negative_sat: int
    outpoint: OutPoint
    package: Package | None
    """What it hangs on; None for a coin of a block."""

    @property
    def value_sat(self) -> int:
        """What it is worth."""
        return -self.negative_sat


class Purse:
    """Coins on offer: the shallowest first, of those the greatest."""

    def __init__(self, offers: Iterable[Offer] = ()) -> None:
        self._heap = list(offers)
        heapq.heapify(self._heap)
        self._gone: set[OutPoint] = set()
        self._passed: list[Offer] = []

    def push(self, offer: Offer) -> None:
        """Offer one more."""
        heapq.heappush(self._heap, offer)

    def remove(self, outpoint: OutPoint) -> None:
        """Offer this one no longer, if it was."""
        self._gone.add(outpoint)

    def take(self, least_sat: int, size_bytes: int) -> Offer:
        """The first coin of this value whose package has room for these bytes.

        What is passed over is set aside. Raises UnavailableError.
        """
        while self._heap:
            offer = heapq.heappop(self._heap)
            if offer.outpoint in self._gone:
                continue
            if offer.value_sat >= least_sat and _has_room(offer, size_bytes):
                return offer
            self._passed.append(offer)
        if any(not _has_room(offer, size_bytes) for offer in self._passed):
            msg = (
                f"every coin is behind {MAX_PACKAGE_TRANSACTIONS} unconfirmed"
                f" transactions or {MAX_PACKAGE_BYTES} bytes of them"
            )
            raise UnavailableError(
                msg, hint="send what is composed and wait for a block"
            )
        msg = "the wallet has no coin that would pay for the transaction"
        raise UnavailableError(msg)

    def list_first(self, below_sat: int) -> list[Offer]:
        """The coins to be taken before all others that are worth less."""
        return [
            offer
            for offer in self
            if offer.depth == FIRST and offer.value_sat < below_sat
        ]

    def restore(self) -> None:
        """Offer again what was set aside: it may do for shorter texts."""
        self._heap += self._passed
        heapq.heapify(self._heap)
        self._passed = []

    def copy(self) -> Purse:
        """The same offers, to be tried out."""
        copies: dict[int, Package] = {}
        offers = []
        for offer in self:
            package = offer.package
            if package is not None:
                root = package.root()
                package = copies.setdefault(id(root), root.copy())
            offers.append(offer._replace(package=package))
        return Purse(offers)

    def __iter__(self) -> Iterator[Offer]:
        """Every offer, in no order."""
        return (offer for offer in self._heap if offer.outpoint not in self._gone)


def depth_for(
    purse: Purse, sizes_bytes: Sequence[int], fees_sat: Sequence[int]
) -> int | None:
    """How deep composing these texts would go; None where it cannot be done."""
    deepest = 0
    for number, (size, fee) in enumerate(zip(sizes_bytes, fees_sat, strict=True)):
        size_bytes = carrier_bytes(size)
        try:
            offer = purse.take(fee + LEAST_CHANGE_SAT, size_bytes)
        except UnavailableError:
            return None
        package = offer.package or Package()
        package.add(size_bytes)
        depth = max(0, offer.depth) + 1
        deepest = max(deepest, depth)
        change = OutPoint(b"", number)
        purse.push(Offer(depth, fee - offer.value_sat, change, package))
    return deepest


def _has_room(offer: Offer, size_bytes: int) -> bool:
    return offer.package is None or offer.package.has_room(size_bytes)
