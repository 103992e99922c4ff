"""The FLO network that a node is on, as its settings say it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etdb.errors import ConfigError
from etdb.identity import Address
from etdb.index.followed import Known
from etdb.ledger.base import LedgerInfo
from etdb.ledger.flo.fee import fee_sat, records_left
from etdb.ledger.flo.params import NETWORKS
from etdb.ledger.flo.script import pay_to
from etdb.record.parts import MAX_MESSAGE_BYTES
from etdb.record.signing import PrivateKey, hash160
from etdb.settings import LedgerSettings

if TYPE_CHECKING:
    from etdb.ledger.flo.daemon import DaemonLedger, DaemonStatus

_USUAL_PARTS = 4


def find_daemon(chosen: LedgerSettings) -> LedgerInfo | None:
    """Which ledger the FLO daemon must have; None where none is set."""
    return None if chosen.kind != "flo" else _info(chosen)


def open_daemon(
    folder: Path, chosen: LedgerSettings, wallet: PrivateKey
) -> DaemonLedger:
    """The network by its daemon, and our wallet's coins on it, kept in the folder.

    Nothing is asked of the daemon yet. Raises ConfigError, InvalidDataError
    for what is no address of a daemon.
    """
    # What most nodes do not have.
    from etdb.ledger.flo.coinbook import CoinBook  # noqa: PLC0415 - loads coins
    from etdb.ledger.flo.daemon import DaemonLedger  # noqa: PLC0415 - loads scanning
    from etdb.ledger.flo.rpc import Rpc  # noqa: PLC0415 - loads http.client

    info = _info(chosen)
    rpc = Rpc(chosen.url, chosen.user, _password(folder, chosen))
    coins = CoinBook.open(
        folder / "coins.sqlite",
        pay_to(hash160(wallet.public_key)),
        info.id,
        coins_height(chosen),
    )
    return DaemonLedger.open(
        rpc,
        NETWORKS[chosen.network],
        first_height=info.first_height,
        coins=coins,
        key=wallet,
    )


def coins_height(chosen: LedgerSettings) -> int:
    """The first block in which the wallet's coins are looked for."""
    first = chosen.coins_height
    return _info(chosen).first_height if first < 0 else first


def ledger_facts(
    held: Mapping[str, Any], known: Known, seen: DaemonStatus | None
) -> dict[str, Any]:
    """How far a ledger was read, and how far its daemon is, if it was asked."""
    tip_height = None if known.tip is None else known.tip.height
    read = held["height"]
    return {
        **held,
        "tip_height": tip_height,
        "lag": None if tip_height is None or read is None else tip_height - read,
        "problem": known.problem,
        "gap": "" if seen is None else seen.gap,
    }


def address_on(chosen: LedgerSettings, wallet: PrivateKey) -> Address:
    """Where coins for the wallet go, as the network writes it."""
    return wallet.address(NETWORKS[chosen.network].address_version)


def wallet_facts(seen: DaemonStatus | None) -> dict[str, Any] | None:
    """What is told of the wallet; `records_left` are of the usual four parts.

    How many of its transactions are in no block is the journal's to say.
    """
    if seen is None or seen.wallet is None:
        return None
    wallet = seen.wallet
    part_sat = fee_sat(MAX_MESSAGE_BYTES, wallet.fee_sat_per_kb)
    return {
        "address": wallet.address,
        "first_height": wallet.first_height,
        "read_height": wallet.read_height,
        "balance_sat": wallet.balance_sat,
        "immature_sat": wallet.immature_sat,
        "fee_sat_per_kb": wallet.fee_sat_per_kb,
        "records_left": records_left(wallet.balance_sat, _USUAL_PARTS * part_sat),
    }


def _info(chosen: LedgerSettings) -> LedgerInfo:
    network, first = NETWORKS[chosen.network], chosen.first_height
    return network.info(network.first_records if first < 0 else first)


def _password(folder: Path, chosen: LedgerSettings) -> str:
    if not chosen.password_file:
        return ""
    path = folder / chosen.password_file
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        msg = f"cannot read {path}: {getattr(exc, 'strerror', exc)}"
        raise ConfigError(msg, hint="look at ledger.password_file") from exc
