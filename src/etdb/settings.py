"""Every setting of a node, in one table.

Read once, at the edge: defaults, then `etdb.toml` in the node's folder, then
the environment (`ETDB_SERVE_PORT` for `port` in `[serve]`), then flags. From
the same table come the file that `etdb init` writes, `etdb config` and
`docs/settings.md`. Only `cli` and `node` import this module.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from etdb.errors import ConfigError

FILE_NAME = "etdb.toml"


def _setting(default: Any, sentence: str, *, unit: str = "") -> Any:
    return field(default=default, metadata={"sentence": sentence, "unit": unit})


@dataclass(frozen=True)
class LabSettings:
    """Who publishes."""

    name: str = _setting("", "The lab's name, shown on every page and in its records.")
    institution: str = _setting("", "The institution, written into new records.")
    license: str = _setting(
        "", "SPDX id of the licence written into new records; empty writes none."
    )


@dataclass(frozen=True)
class ServeSettings:
    """The web server."""

    host: str = _setting(
        "127.0.0.1", "The address to listen on; 0.0.0.0 is every network."
    )
    port: int = _setting(8000, "The port to listen on.")
    banner: str = _setting("", "A sentence shown at the top of every page.")


@dataclass(frozen=True)
class StoreSettings:
    """The files."""

    threads: int = _setting(2, "How many threads hash files.")


@dataclass(frozen=True)
class LedgerSettings:
    """Where records are written."""

    kind: str = _setting(
        "embedded", 'The ledger; "embedded" is the node\'s own FLO chain.'
    )


@dataclass(frozen=True)
class GetSettings:
    """Downloads."""

    ask_above_gb: int = _setting(
        10, "Ask before fetching more than this; 1 GB is 10⁹ bytes.", unit="GB"
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
            )


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
