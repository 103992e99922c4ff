"""Real messages of OIP 0.42: parsed, verified, encoded to the same bytes.

Every vector file of the records and the ledger, and the tests that read it:

| file | entries | parsed and verified | the same bytes | rejected |
|---|---|---|---|---|
| 01 records | 4 | `test_published_records_are_judged_by_their_signatures` | `test_published_records_are_encoded_to_the_same_bytes` | the two with a pasted signature: R3, in the first test |
| 03 edit | 1 | `test_a_2018_edit_is_decoded_shown_and_verified` | in the same test | – |
| 05 parts | 11 | `test_real_parts_are_parsed_and_verified` | `test_real_parts_are_written_to_the_same_bytes` | `test_a_real_part_with_one_changed_character_is_rejected` |
| 05b garbage | 3 | – | – | `test_real_garbage_is_refused` |
| 06 sequence | 1 | `test_a_real_record_in_parts_is_joined_to_class_b` | in the same test | – |
| 08 signed messages | 10 | `test_signed_messages_of_every_form_and_coin` | – | the negative one in the same test; `test_another_coins_magic_is_not_flos` |
| 13 details | 10 | `test_real_details_are_viewed_and_encoded_to_the_same_bytes` | in the same test | – |
| 09 transactions | 4 | `test_real_transactions_have_their_ids_and_flo_data` of `tests/ledger/flo/test_tx.py` | in the same test | `test_signatures_of_real_transactions_cover_their_flo_data` of `tests/ledger/flo/test_script.py` |
| 09b sighash | 200 | `test_200_signed_hashes_of_flo_core_are_reproduced` of `tests/ledger/flo/test_tx.py` | `test_transactions_of_flo_core_are_written_to_the_same_bytes` | – |
| 12 CIDs | 11 + 4 | `test_the_original_publishers_directories_are_rebuilt` of `tests/store/test_vectors.py` | `test_the_original_publishers_small_files_are_rebuilt` of `tests/store/test_vectors.py` | `test_real_locations_are_cids_and_print_as_they_came` |

`test_every_vector_of_the_table_is_read` holds the table against the code.
"""  # noqa: E501 - a table

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import InvalidDataError, InvalidMessageError, InvalidSignatureError
from etdb.identity import CID, Txid
from etdb.ledger.flo.tx import Transaction
from etdb.record.canonical import PREFIX, parse_json, parse_message_text
from etdb.record.edits import decode_old_edit
from etdb.record.message import LedgerKind
from etdb.record.model import Details, Record, Role
from etdb.record.oip042 import arrange, encode_artifact, read_envelope, wrap_value
from etdb.record.parts import join, joins, parse_part, verify_part
from etdb.record.rules import RecordClass, Rejection, check_body
from etdb.record.signing import FLO, Coin, old_preimage, verify_message

ROOT = Path(__file__).resolve().parents[2]
Vectors = Callable[[str], Any]
Hear = Callable[..., Any]
BITCOIN = Coin("Bitcoin Signed Message:\n", frozenset({0, 111}), frozenset({5, 196}))
LITECOIN = Coin("Litecoin Signed Message:\n", frozenset({48}), frozenset({5, 50}))
COINS = {coin.magic: coin for coin in (FLO, BITCOIN, LITECOIN)}


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_published_records_are_judged_by_their_signatures(
    vectors: Vectors, hear: Hear
) -> None:
    for vector in vectors("01_oip042_research_tomogram.json")["vectors"]:
        text = PREFIX + compact(vector["record"])

        said = hear(text, LedgerKind.FLO_TEST)

        assert (not isinstance(said, Rejection)) is vector["verified"]
        if vector["verified"]:
            assert said.record_class is RecordClass.C
            assert said.address == vector["address"]
            assert old_preimage("publish", said.body) == vector["preimage"]
        else:
            assert said.code == "R3"


def test_published_records_are_encoded_to_the_same_bytes(vectors: Vectors) -> None:
    for vector in vectors("01_oip042_research_tomogram.json")["vectors"]:
        text = PREFIX + compact(vector["record"])

        value = parse_message_text(text)

        assert wrap_value(value["oip042"]) == text
        artifact = value["oip042"]["publish"]["artifact"]
        for file in artifact["storage"]["files"]:
            assert list(arrange({"storage": {"files": [file]}})["storage"]["files"][0])


def test_the_arrangement_of_keys_is_the_original_publishers(vectors: Vectors) -> None:
    for vector in vectors("01_oip042_research_tomogram.json")["vectors"]:
        artifact = vector["record"]["oip042"]["publish"]["artifact"]
        mixed = dict(reversed(artifact.items()))
        mixed["details"] = dict(reversed(artifact["details"].items()))
        mixed["info"] = dict(reversed(artifact["info"].items()))

        assert encode_artifact(arrange(mixed)) == compact(artifact)


def test_a_published_record_is_viewed(vectors: Vectors) -> None:
    vector = vectors("01_oip042_research_tomogram.json")["vectors"][0]

    record = Record.model_validate(vector["record"]["oip042"]["publish"]["artifact"])

    assert record.publisher == vector["address"]
    assert record.details.tilt_max_deg == 2
    assert record.details.defocus_um == 0.1
    assert [file.role for file in record.storage.files] == [
        Role.SNAPSHOT,
        Role.TILT_SERIES,
        Role.THUMBNAIL,
        Role.KEYIMG,
        Role.KEYMOV,
        Role.KEYMOV,
    ]


def test_a_2018_edit_is_decoded_shown_and_verified(
    vectors: Vectors, hear: Hear
) -> None:
    for vector in vectors("03_oip042_edit.json")["vectors"]:
        text = PREFIX + compact(vector["record"])

        envelope = read_envelope(parse_message_text(text))
        edit = decode_old_edit(envelope.body)

        preimage = f"{edit.txid}-{vector['address']}-{envelope.body['timestamp']}"
        assert preimage == vector["preimage"]
        assert envelope.signature_beside is not None
        verify_message(vector["address"], envelope.signature_beside, preimage)
        assert [operation["op"] for operation in edit.operations] == [
            "remove",
            "remove",
            "replace",
        ]
        assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.SHOWN
        assert wrap_value(parse_message_text(text)["oip042"]) == text


def test_real_parts_are_parsed_and_verified(vectors: Vectors) -> None:
    for vector in vectors("05_multipart_parts.json")["vectors"]:
        part = parse_part(vector["floData"])

        assert (part.index, part.max) == (vector["part"], vector["max"])
        assert part.address == vector["address"]
        assert part.reference == vector["reference"]
        assert part.signature == vector["signature"]
        assert len(part.data.encode()) == vector["data_bytes"]
        verify_part(part)


def test_real_parts_are_written_to_the_same_bytes(vectors: Vectors) -> None:
    for vector in vectors("05_multipart_parts.json")["vectors"]:
        text = vector["floData"]
        part = parse_part(text)
        # Some old clients put a comma behind the last field.
        header, mark, _ = text.partition("):")
        stray = "," if header.endswith(",") else ""

        fields = (part.index, part.max, part.address, part.reference, part.signature)

        prefix = text.partition("(")[0]
        written = f"{prefix}({','.join(map(str, fields))}{stray}{mark}{part.data}"
        assert written == text
        assert part.text == text
        assert len(text.encode()) == vector["floData_bytes"]
        signed = f"{'-'.join(map(str, fields[:4]))}-{part.data}"
        verify_message(part.address, part.signature, vector["preimage"])
        assert signed == vector["preimage"] or not part.index


def test_a_real_part_with_one_changed_character_is_rejected(vectors: Vectors) -> None:
    for vector in vectors("05_multipart_parts.json")["vectors"]:
        text = vector["floData"]

        for at in range(0, len(text), 7):
            altered = text[:at] + ("x" if text[at] != "x" else "y") + text[at + 1 :]

            with pytest.raises(InvalidDataError):
                verify_part(parse_part(altered))


def test_real_garbage_is_refused(vectors: Vectors) -> None:
    refused = []
    for vector in vectors("05b_multipart_invalid.json")["vectors"]:
        with pytest.raises(InvalidDataError) as caught:
            verify_part(parse_part(vector["floData"]))
        refused.append(type(caught.value))

    assert refused == [InvalidMessageError, InvalidMessageError, InvalidSignatureError]


def test_a_real_record_in_parts_is_joined_to_class_b(
    vectors: Vectors, hear: Hear
) -> None:
    first = Txid("ba96c5abbfb24e7a57bcba5e1aae6fd431dcf1be03469211718f6ec462a9fc14")
    for vector in vectors("06_multipart_sequences.json")["vectors"]:
        parts = [parse_part(text) for text in vector["parts"]]

        text = join(list(reversed(parts)))

        said = hear(text, LedgerKind.FLO_TEST, parts=parts)
        assert all(joins(part, first) for part in parts[1:])
        assert text == vector["assembled"]
        assert said.record_class is RecordClass.B
        assert wrap_value(parse_message_text(text)["oip042"]) == text
        assert [check.holds for check in check_body(said.body, text)] == [
            True,
            True,
            False,
            True,
        ]


def test_signed_messages_of_every_form_and_coin(vectors: Vectors) -> None:
    for vector in vectors("08_signmessage.json")["vectors"]:
        given = (vector["address"], vector["signature"], vector["message"])
        coin = COINS[vector["magic"]]

        if vector["verified"]:
            verify_message(*given, coin=coin)
        else:
            with pytest.raises(InvalidSignatureError):
                verify_message(*given, coin=coin)


def test_another_coins_magic_is_not_flos(vectors: Vectors) -> None:
    for vector in vectors("08_signmessage.json")["vectors"]:
        for coin in COINS.values():
            any_version = frozenset(range(256))
            other = Coin(coin.magic, any_version, any_version)
            given = (vector["address"], vector["signature"], vector["message"])

            if coin.magic == vector["magic"] and vector["verified"]:
                verify_message(*given, coin=other)
            else:
                with pytest.raises(InvalidSignatureError):
                    verify_message(*given, coin=other)


def test_real_details_are_viewed_and_encoded_to_the_same_bytes(
    vectors: Vectors,
) -> None:
    for given in vectors("13_etdb_details_objects.json")["vectors"]:
        text = compact(given)

        details = Details.model_validate(parse_json(text))

        assert encode_artifact(parse_json(text)) == text
        assert details.taxonomy_id == given["NBCItaxID"]
        assert details.species == given["speciesName"]
        assert details.defocus_um == given.get("defocus")
        assert details.tilt_min_deg == given.get("tiltMin")
        assert details.sid == given["sid"]


def test_transactions_of_flo_core_are_written_to_the_same_bytes(
    vectors: Vectors,
) -> None:
    for case in vectors("09b_flo_core_sighash.json")["vectors"]:
        assert (
            Transaction.parse(bytes.fromhex(case["raw"])).encode().hex() == case["raw"]
        )


def test_real_locations_are_cids_and_print_as_they_came(vectors: Vectors) -> None:
    loaded = vectors("12_ipfs_cids.json")
    cids = [vector["cid"] for vector in loaded["vectors"]]
    cids += [entry["cid"] for entry in loaded["real_etdb_directories"]]

    for text in cids:
        assert str(CID.parse(text)) == text
        with pytest.raises(InvalidDataError):
            CID.parse(text[:-1])


def test_every_vector_of_the_table_is_read() -> None:
    rows = [line for line in str(__doc__).splitlines() if line.startswith("| ")][1:]
    home = Path(__file__).relative_to(ROOT).as_posix()
    named = [
        (test, file or home)
        for row in rows
        for test, file in re.findall(r"`(test_\w+)`(?: of `([\w/.]+)`)?", row)
    ]
    sources = {file: (ROOT / file).read_text("utf-8") for _, file in named}

    numbers = {row.split()[1] for row in rows}
    assert numbers == {"01", "03", "05", "05b", "06", "08", "09", "09b", "12", "13"}
    assert [test for test, file in named if f"def {test}(" not in sources[file]] == []
