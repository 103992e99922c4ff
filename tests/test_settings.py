"""Settings: one table, three sources, strict."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from etdb.errors import ConfigError
from etdb.settings import FILE_NAME, Settings, load_settings, rows, settings_file


def write(folder: Path, text: str) -> None:
    (folder / FILE_NAME).write_text(text, "utf-8")


def test_without_a_file_every_setting_has_its_default(tmp_path: Path) -> None:
    assert load_settings(tmp_path, environ={}) == Settings()


def test_flags_win_over_environment_over_file(tmp_path: Path) -> None:
    write(tmp_path, '[serve]\nport = 1\nhost = "file"\nbanner = "file"\n')
    environ = {"ETDB_SERVE_HOST": "environment", "ETDB_SERVE_PORT": "2"}

    settings = load_settings(tmp_path, environ=environ, flags={"serve.port": 3})

    assert settings.serve.banner == "file"
    assert settings.serve.host == "environment"
    assert settings.serve.port == 3


def test_a_flag_that_was_not_given_leaves_the_setting_alone(tmp_path: Path) -> None:
    write(tmp_path, "[serve]\nport = 1\n")

    settings = load_settings(tmp_path, environ={}, flags={"serve.port": None})

    assert settings.serve.port == 1


def test_zero_is_a_value(tmp_path: Path) -> None:
    settings = load_settings(tmp_path, environ={}, flags={"serve.port": 0})

    assert settings.serve.port == 0


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    write(tmp_path, "[serve]\nprot = 1\n")

    with pytest.raises(ConfigError, match=r"serve\.prot") as caught:
        load_settings(tmp_path, environ={})

    assert "serve.port" in caught.value.hint


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('[serve]\nport = "80"\n', "serve.port"),
        ("[serve]\nport = true\n", "serve.port"),
        ("[lab]\nname = 5\n", "lab.name"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_by_name(
    tmp_path: Path, text: str, key: str
) -> None:
    write(tmp_path, text)

    with pytest.raises(ConfigError, match=key):
        load_settings(tmp_path, environ={})


def test_a_wrong_environment_variable_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="ETDB_SERVE_PORT"):
        load_settings(tmp_path, environ={"ETDB_SERVE_PORT": "eighty"})


def test_a_file_that_is_not_toml_is_refused_by_name(tmp_path: Path) -> None:
    write(tmp_path, "port: 80")

    with pytest.raises(ConfigError, match=FILE_NAME):
        load_settings(tmp_path, environ={})


def test_a_key_outside_a_section_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "port = 80\n")

    with pytest.raises(ConfigError, match="unknown setting port"):
        load_settings(tmp_path, environ={})


def test_a_new_settings_file_explains_every_setting_and_sets_the_chosen(
    tmp_path: Path,
) -> None:
    name = 'A "quoted" lab\n\\ Å'
    text = settings_file({"lab.name": name, "get.ask_above_gb": 20})

    write(tmp_path, text)

    assert tomllib.loads(text) == {
        "lab": {"name": name},
        "serve": {},
        "store": {},
        "ledger": {},
        "get": {"ask_above_gb": 20},
    }
    assert load_settings(tmp_path, environ={}).lab.name == name
    for row in rows():
        assert row.sentence in text
        assert f"{row.name} = " in text


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("serve.port", 65_536),
        ("serve.port", -1),
        ("store.threads", 0),
        ("get.ask_above_gb", -1),
        ("ledger.kind", "bitcoin"),
        ("ledger.network", "mainnet"),
        ("ledger.first_height", -2),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_those_that_do(
    tmp_path: Path, key: str, value: str | int
) -> None:
    with pytest.raises(ConfigError, match=re.escape(key)):
        load_settings(tmp_path, environ={}, flags={key: value})
