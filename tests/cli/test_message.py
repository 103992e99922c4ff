"""`etdb message decode`: whatever looks odd on a chain is told, never fatal."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from etdb.ledger.flo.block import coinbase
from etdb.ledger.flo.script import Unlock, pay_to
from etdb.ledger.flo.tx import (
    OMIT_FLO_DATA,
    SIGHASH_ALL,
    OutPoint,
    Transaction,
    TxIn,
    TxOut,
)
from etdb.record.message import Coverage
from etdb.record.signing import hash160
from etdb.testing.records import Author, digest_in

Vectors = Callable[[str], Any]
AUTHOR = Author()


def signed(flo_data: bytes, hash_type: int = SIGHASH_ALL) -> Transaction:
    """A transaction of one input, whose signature is of this type."""
    script = pay_to(hash160(AUTHOR.key.public_key))
    bare = Transaction(
        2, (TxIn(OutPoint(b"\1" * 32, 0), b""),), (TxOut(5, script),), 0, flo_data
    )
    signature = AUTHOR.key.sign_hash(bare.sighash(0, script, hash_type))
    unlock = Unlock(signature, hash_type & ~OMIT_FLO_DATA, AUTHOR.key.public_key)
    return replace(bare, inputs=(bare.inputs[0]._replace(script=unlock.encode()),))


def test_a_real_transaction_is_told(etdb: Any, vectors: Vectors) -> None:
    for vector in vectors("09_flo_transactions.json")["vectors"]:
        found = etdb.ok("message", "decode", vector["hex"], "--json").json

        (message,) = found["messages"]
        told = message["transaction"]
        assert told["txid"] == vector["txid"]
        assert told["version"] == vector["version"]
        assert told["coverage"] == Coverage.COVERED.value
        assert told["flo_data_bytes"] == vector["floData_bytes"]
        assert [item["value_sat"] for item in told["outputs"]] == [
            item["satoshis"] for item in vector["vout"]
        ]
        for item, given in zip(told["inputs"], vector["inputs"], strict=True):
            assert item["spends"] == given["prevout"]
            assert given["testnet_address"] in item["addresses"]


def test_a_comment_that_nobody_signed_is_flagged(etdb: Any) -> None:
    unsigned = signed(b"json:{}", SIGHASH_ALL | OMIT_FLO_DATA)

    said = etdb.ok("message", "decode", unsigned.encode().hex()).output

    assert "anybody could have replaced it" in said
    assert "authorship rests on the record's signature" in said


def test_scripts_coinbases_and_odd_bytes_are_told(etdb: Any) -> None:
    script_hash = b"\xa9\x14" + b"\2" * 20 + b"\x87"
    outputs = (TxOut(5, script_hash), TxOut(7, b"\x6a"))
    odd = replace(signed(b"\xff\xfe"), outputs=outputs)
    mined = coinbase(7, TxOut(5, b""))

    found = etdb.ok(
        "message", "decode", odd.encode().hex(), mined.encode().hex(), "--json"
    ).json

    first, second = (item["transaction"] for item in found["messages"])
    assert first["flo_data_encoding"] == "not UTF-8"
    assert [len(item["addresses"]) for item in first["outputs"]] == [2, 0]
    assert second["inputs"][0]["is_coinbase"]
    assert second["flo_data_encoding"] == "none"
    assert "coinbase" in second["coverage_says"]


def test_parts_given_as_arguments_are_joined(etdb: Any, vectors: Vectors) -> None:
    (vector,) = vectors("06_multipart_sequences.json")["vectors"]

    found = etdb.ok("message", "decode", *vector["parts"], "--json").json

    (joined,) = found["joined"]
    assert joined["message"]["size_bytes"] == vector["assembled_bytes"]
    assert joined["message"]["outcomes"][0]["verdict"] == "B"


def test_a_part_alone_says_what_is_missing(etdb: Any, vectors: Vectors) -> None:
    (vector,) = vectors("06_multipart_sequences.json")["vectors"]

    said = etdb.ok("message", "decode", vector["parts"][1]).output

    assert "not joined" in said
    assert "missing: 0" in said


def test_a_file_may_hold_a_part_or_a_transaction_a_line(
    etdb: Any, tmp_path: Path
) -> None:
    text = AUTHOR.publish(AUTHOR.artifact({"artNotes": "é" * 900}))
    chunks = AUTHOR.part_texts(text)
    first = signed(chunks[0].encode())
    later = [signed(p.encode()) for p in AUTHOR.part_texts(text, first.txid)[1:]]
    file = tmp_path / "parts.txt"
    file.write_text("\n".join(tx.encode().hex() for tx in [first, *later]) + "\n")

    said = etdb.ok("message", "decode", file).output

    assert digest_in(text) in said
    assert "class A: signed over all it says" in said


def test_a_file_of_one_text_is_told_to_its_last_byte(
    etdb: Any, tmp_path: Path, vectors: Vectors
) -> None:
    (vector,) = vectors("03_oip042_edit.json")["vectors"]
    file = tmp_path / "edit.txt"
    file.write_text("json:" + json.dumps(vector["record"], indent=1) + "\n")

    said = etdb.ok("message", "decode", file, "--publisher", vector["address"]).output

    assert "decoded, no effect (R4)" in said
    assert '"path": "/info/title"' in said
    assert f"holds  historical signature: {vector['address']}" in said


def test_standard_input_is_read_whatever_its_bytes(etdb: Any) -> None:
    for data, expected in [
        (b"\xff\xfe\0\x1b[2J\xed\xa0\x80", "nothing that is known"),
        (b"json:{\xff}", "B1"),
        (b"text:hello\n", "a note"),
    ]:
        done = subprocess.run(
            etdb.command("message", "decode", "-"),
            input=data,
            capture_output=True,
            check=True,
            timeout=60,
        )

        assert expected.encode() in done.stdout
        assert b"\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([""], "nothing to decode"),
        (["no-such-file.txt"], "neither a file"),
        (["/no/such/file"], "neither a file"),
        (["ab" * 32], "the whole raw transaction"),
        (["0200" * 9], "no FLO transaction"),
        (["x", "--publisher", "oX"], "base58"),
    ],
)
def test_bad_input_is_a_clear_error(etdb: Any, words: list[str], said: str) -> None:
    done = etdb.run("message", "decode", *words)

    assert done.status == 3
    assert said in done.errors
    assert done.output == ""


def test_a_text_too_long_for_a_file_name_is_a_text(etdb: Any) -> None:
    assert "foreign" in etdb.ok("message", "decode", "x y" * 2000).output


def test_more_than_any_block_can_hold_is_refused(etdb: Any, tmp_path: Path) -> None:
    file = tmp_path / "large"
    file.write_bytes(b"x" * ((4 << 20) + 1))

    done = etdb.run("message", "decode", file)

    assert done.status == 3
    assert "longer than" in done.errors
