"""Every setting of a node, in one table.

Read once, at the edge: defaults, then `etdb.toml` in the node's folder, then
the environment (`ETDB_SERVE_PORT` for `port` in `[serve]`), then flags. From
the same table come the file that `etdb init` writes, `etdb config` and
`docs/settings.md`. Only `cli` and `node` import this module.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import platformdirs

from etdb.errors import ConfigError

FILE_NAME = "etdb.toml"


def _setting(
    default: Any,
    sentence: str,
    *,
    unit: str = "",
    among: Sequence[str] | range | None = None,
) -> Any:
    """`among` are the values that a setting may have; None is any of its type."""
    told = {"sentence": sentence, "unit": unit, "among": among}
    return field(default=default, metadata=told)


_FROM_ONE = range(1, 2**31)
_FROM_ZERO = range(2**31)


@dataclass(frozen=True)
class LabSettings:
    """Who publishes."""

    name: str = _setting("", "The lab's name, shown on every page and in its records.")
    institution: str = _setting("", "The institution, written into new records.")
    license: str = _setting(
        "", "SPDX id of the licence written into new records; empty writes none."
    )
    heirs: str = _setting(
        "",
        "Addresses, with commas between them, whose keys may edit and withdraw new "
        "records as well, for ever.",
    )


@dataclass(frozen=True)
class ServeSettings:
    """The web server."""

    host: str = _setting(
        "127.0.0.1", "The address to listen on; 0.0.0.0 is every network."
    )
    port: int = _setting(
        8000, "The port to listen on; 0 is any free one.", among=range(2**16)
    )
    certificate: str = _setting(
        "",
        "The PEM file of a TLS certificate and its chain, to serve https and HTTP/2; a "
        "relative path is one in this folder; read at the start; empty is plain HTTP.",
    )
    key_file: str = _setting(
        "",
        "The PEM file of the certificate's private key; empty is the certificate's own "
        "file.",
    )
    max_streams: int = _setting(
        128,
        "How many downloads are sent at once, each with 7 to 8 MB in memory; "
        "further clients are asked to try again later.",
        among=_FROM_ONE,
    )
    banner: str = _setting("", "A sentence shown at the top of every page.")
    addresses: str = _setting(
        "",
        "Where others reach this node's gateway, with commas between them (https "
        "addresses or multiaddrs); needed behind a proxy or under a name.",
    )


@dataclass(frozen=True)
class StoreSettings:
    """The files."""

    threads: int = _setting(2, "How many threads hash files.", among=_FROM_ONE)


@dataclass(frozen=True)
class LedgerSettings:
    """Where records are written."""

    kind: str = _setting(
        "embedded",
        'The ledger; "embedded" is the node\'s own FLO chain, "flo" a FLO daemon.',
        among=("embedded", "flo"),
    )
    network: str = _setting(
        "main",
        'The network of the FLO daemon: "main", "test" or "regtest".',
        among=("main", "test", "regtest"),
    )
    url: str = _setting("http://127.0.0.1:7313", "The RPC address of the FLO daemon.")
    user: str = _setting("", "The user of the FLO daemon's RPC.")
    password_file: str = _setting(
        "",
        "The file that holds the password of the FLO daemon's RPC; a relative "
        "path is one in this folder.",
    )
    first_height: int = _setting(
        -1,
        "The first block to read from the FLO daemon; -1 is 2,700,000 on main, where "
        "the first tomograms are, and 0 elsewhere.",
        among=range(-1, 2**31),
    )
    coins_height: int = _setting(
        -1,
        "The first block to look for the wallet's coins in, so that those below are "
        "not counted; -1 is where the records begin (ledger.first_height). A wallet "
        "that had coins before needs less.",
        among=range(-1, 2**31),
    )
    confirmations: int = _setting(
        6,
        "A message is done with when this many blocks of the FLO daemon hold or "
        "follow it.",
        among=range(1, 1_001),
    )
    max_fee_factor: int = _setting(
        10,
        "How many times the fee that was agreed to may be paid where the FLO daemon "
        "asks for more before a message is on its way.",
        among=range(1, 1_001),
    )


@dataclass(frozen=True)
class GetSettings:
    """Downloads."""

    ask_above_gb: int = _setting(
        10,
        "Ask before fetching more than this; 1 GB is 10⁹ bytes.",
        unit="GB",
        among=_FROM_ZERO,
    )
    gateways: str = _setting(
        "", "IPFS gateways to take bytes from as well, with commas between them."
    )
    routers: str = _setting(
        "",
        "Routers (`/routing/v1`) to ask who else has a dataset, with commas between "
        "them; the node that is asked for the record always is one.",
    )
    allow_private: bool = _setting(
        False,
        "Whether places that routers and registers name may be private addresses, and "
        "without https; for labs with a network of their own.",
    )


@dataclass(frozen=True)
class Settings:
    """All settings of one node."""

    lab: LabSettings = LabSettings()
    serve: ServeSettings = ServeSettings()
    store: StoreSettings = StoreSettings()
    ledger: LedgerSettings = LedgerSettings()
    get: GetSettings = GetSettings()


@dataclass(frozen=True)
class Row:
    """One setting of the table."""

    section: str
    name: str
    type: type
    default: str | int | bool
    sentence: str
    unit: str
    among: Sequence[str] | range | None
    """The values that it may have; None is any of its type."""

    @property
    def key(self) -> str:
        """As people write it: `serve.port`."""
        return f"{self.section}.{self.name}"

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"ETDB_{self.section}_{self.name}".upper()


def rows() -> Iterator[Row]:
    """Every setting, in the order of the file."""
    for section, default in vars(Settings()).items():
        for item in fields(default):
            value = getattr(default, item.name)
            yield Row(
                section,
                item.name,
                type(value),
                value,
                item.metadata["sentence"],
                item.metadata["unit"],
                item.metadata["among"],
            )


def default_folder() -> Path:
    """Where a node is unless another place is given: the platform's data folder."""
    return platformdirs.user_data_path("etdb")


def load_settings(
    folder: Path,
    *,
    environ: Mapping[str, str],
    flags: Mapping[str, str | int | bool | None] | None = None,
) -> Settings:
    """The settings of the node in `folder`.

    `flags` are keyed like `serve.port`; None leaves a setting alone. Raises
    ConfigError naming the key, the value and where it came from.
    """
    path = folder / FILE_NAME
    values = _from_file(path)
    for row in rows():
        if row.variable in environ:
            text = environ[row.variable]
            values[row.key] = _from_text(row, text, row.variable)
    given = {key: value for key, value in (flags or {}).items() if value is not None}
    return _build(values | given)


def chosen_settings(chosen: Mapping[str, str | int | bool]) -> Settings:
    """The settings of a node whose file will say no more than this.

    Raises ConfigError.
    """
    return _build(chosen)


def _from_file(path: Path) -> dict[str, Any]:
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as exc:
        msg = f"cannot read {path}: {exc}"
        raise ConfigError(msg) from exc
    known = {row.key: row for row in rows()}
    values = {}
    for key, value in _flat(document):
        row = known.get(key)
        if row is None:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else "see: etdb config"
            msg = f"unknown setting {key} in {path}"
            raise ConfigError(msg, hint=hint)
        if type(value) is not row.type:
            raise _wrong_type(row, value, str(path))
        values[key] = value
    return values


def _flat(document: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for section, table in document.items():
        if not isinstance(table, dict):
            yield section, table
            continue
        for name, value in table.items():
            yield f"{section}.{name}", value


def _from_text(row: Row, text: str, origin: str) -> str | int | bool:
    if row.type is str:
        return text
    if row.type is bool and text.lower() in ("true", "false", "1", "0"):
        return text.lower() in ("true", "1")
    if row.type is int and text.removeprefix("-").isdecimal():
        return int(text)
    raise _wrong_type(row, text, origin)


def _wrong_type(row: Row, value: object, origin: str) -> ConfigError:
    wanted = {str: "text in quotes", int: "a whole number", bool: "true or false"}
    return ConfigError(
        f"{row.key} in {origin} is {value!r}; {wanted[row.type]} is expected"
    )


def _build(values: Mapping[str, Any]) -> Settings:
    for row in rows():
        _verify_value(row, values.get(row.key, row.default))
    sections = {
        section: replace(
            default,
            **{
                item.name: values[f"{section}.{item.name}"]
                for item in fields(default)
                if f"{section}.{item.name}" in values
            },
        )
        for section, default in vars(Settings()).items()
    }
    return Settings(**sections)


def _verify_value(row: Row, value: Any) -> None:
    if row.among is None or value in row.among:
        return
    if isinstance(row.among, range):
        allowed = f"{row.among[0]} to {row.among[-1]}"
    else:
        allowed = " or ".join(map(repr, row.among))
    msg = f"{row.key} is {value!r}; it may be {allowed}"
    raise ConfigError(msg)


def listed(text: str) -> list[str]:
    """What a setting lists, with commas between."""
    return [item.strip() for item in text.split(",") if item.strip()]


def settings_file(chosen: Mapping[str, str | int | bool]) -> str:
    """The text of a new `etdb.toml`: every setting explained, few of them set."""
    lines = ["# Settings of this etdb node. A line that starts with # is a default."]
    section = ""
    for row in rows():
        if row.section != section:
            section = row.section
            lines += ["", f"[{section}]"]
        lines.append(f"# {row.sentence}")
        value = chosen.get(row.key)
        mark = "# " if value is None else ""
        text = toml_value(row.default if value is None else value)
        lines.append(f"{mark}{row.name} = {text}")
    return "\n".join(lines) + "\n"


def toml_value(value: str | int | bool) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    kept = "".join(
        character if character.isprintable() else f"\\U{ord(character):08x}"
        for character in escaped
    )
    return f'"{kept}"'
