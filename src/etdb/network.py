"""The FLO network that a node is on, as its settings say it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from etdb.errors import ConfigError
from etdb.identity import Address
from etdb.ledger.base import LedgerInfo
from etdb.ledger.flo.account import WalletStatus
from etdb.ledger.flo.coinbook import CoinBook
from etdb.ledger.flo.daemon import DaemonLedger
from etdb.ledger.flo.fee import fee_sat, records_left
from etdb.ledger.flo.params import NETWORKS
from etdb.ledger.flo.rpc import Rpc
from etdb.ledger.flo.script import pay_to
from etdb.record.parts import MAX_MESSAGE_BYTES
from etdb.record.signing import PrivateKey, hash160
from etdb.settings import LedgerSettings

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
    info = _info(chosen)
    rpc = Rpc(chosen.url, chosen.user, _password(folder, chosen))
    coins = CoinBook.open(
        folder / "coins.sqlite",
        pay_to(hash160(wallet.public_key)),
        info.id,
        info.first_height,
    )
    return DaemonLedger.open(
        rpc,
        NETWORKS[chosen.network],
        first_height=info.first_height,
        coins=coins,
        key=wallet,
    )


def address_on(chosen: LedgerSettings, wallet: PrivateKey) -> Address:
    """Where coins for the wallet go, as the network writes it."""
    return wallet.address(NETWORKS[chosen.network].address_version)


def wallet_facts(wallet: WalletStatus) -> dict[str, Any]:
    """What is told of a wallet; `records_left` are of the usual four parts.

    How many of its transactions are in no block is the journal's to say.
    """
    part_sat = fee_sat(MAX_MESSAGE_BYTES, wallet.fee_sat_per_kb)
    return {
        "address": wallet.address,
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
