"""What any text is said to be, and what of it verifies."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.identity import Address, Txid
from etdb.record.explain import Explanation, explain, explain_parts
from etdb.record.oip042 import wrap
from etdb.testing.records import SIGNED_AT, Author, digest_in

Vectors = Callable[[str], Any]
FIRST = Txid("cd" * 32)


def compact(value: object) -> str:
    return "json:" + json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def verdicts(said: Explanation) -> list[str]:
    return [outcome.verdict for outcome in said.outcomes]


def held(said: Explanation) -> dict[str, bool]:
    return {check.name: check.holds for check in said.checks}


def test_a_record_of_ours_is_told_with_all_that_verifies(author: Author) -> None:
    text = author.publish(author.artifact({"heirs": [author.address]}))

    said = explain(text)

    assert (said.kind, said.says) == ("publish", "a content-signed publish")
    assert said.size_bytes == len(text.encode())
    assert said.facts["digest"] == digest_in(text)
    assert said.facts["signer"] == author.address
    assert said.facts["heirs"] == [author.address]
    assert held(said) == {
        "text": True,
        "content signature": True,
        "OIP 0.42 signature": True,
    }
    assert verdicts(said) == ["A"] * 5


def test_an_edit_of_ours_waits_for_what_it_edits(author: Author) -> None:
    root = author.publish()

    said = explain(author.edit(root, 2))

    assert said.kind == "edit"
    assert said.facts["revision"]["of"] == digest_in(root)
    assert all(held(said).values())
    assert "pending" in said.outcomes[0].says


def test_a_withdrawal_names_its_record_and_its_reason(author: Author) -> None:
    root = author.publish()

    said = explain(author.deactivate(root, reason="mislabelled"))

    assert said.facts["withdraws"] == digest_in(root)
    assert said.facts["reason"] == "mislabelled"
    assert held(said) == {"text": True, "content signature": True}


def test_a_register_names_its_alias(author: Author) -> None:
    assert explain(author.register("lab")).facts["alias"] == "lab"


def test_an_altered_record_is_told_with_the_check_that_fails(author: Author) -> None:
    said = explain(author.publish().replace("Synthetic", "Synthesis"))

    assert held(said)["content signature"] is False
    assert verdicts(said) == ["rejected"] * 5
    assert said.outcomes[0].says.startswith("B4: ")


def test_old_records_are_told_with_their_class_on_each_ledger(
    vectors: Vectors,
) -> None:
    valid, *_ = vectors("01_oip042_research_tomogram.json")["vectors"]

    said = explain(compact(valid["record"]))

    assert said.says == "a historical publish"
    assert verdicts(said) == ["C", "unattested", "C", "C", "unattested"]
    assert held(said)["OIP 0.42 signature"] is True


def test_a_record_with_a_pasted_signature_is_told_as_rejected(
    vectors: Vectors,
) -> None:
    for vector in vectors("01_oip042_research_tomogram.json")["vectors"]:
        said = explain(compact(vector["record"]))

        assert ("rejected" in verdicts(said)) is not vector["verified"]


def test_a_2018_edit_is_decoded_and_verified_against_its_publisher(
    vectors: Vectors,
) -> None:
    (vector,) = vectors("03_oip042_edit.json")["vectors"]
    text = compact(vector["record"])

    blind = explain(text)
    said = explain(text, publisher=Address(vector["address"]))
    other = explain(text, publisher=Author().address)

    assert [item["op"] for item in said.facts["operations"]] == [
        "remove",
        "remove",
        "replace",
    ]
    assert verdicts(said) == ["shown"] * 5
    assert "no effect (R4)" in said.outcomes[0].says
    assert blind.facts["signature"].startswith("not checked")
    assert held(said) == {"historical signature": True}
    assert held(other) == {"historical signature": False}


OLD_FORMS: list[tuple[str, str, dict[str, Any], str]] = [
    ("edit", "artifact", {"txid": "ab" * 32, "patch": []}, "{id}-{t}"),
    ("deactivate", "artifact", {"artifactID": "ab" * 32}, "{id}-{a}-{t}"),
    ("deactivate", "pub", {"address": "{a}"}, "deactivate-{a}-{t}"),
    (
        "transfer",
        "artifact",
        {"artifactID": "ab" * 32, "toFloAddress": "oX", "fromFloAddress": "{a}"},
        "{id}-oX-{a}-{t}",
    ),
]


@pytest.mark.parametrize(("action", "subject", "body", "preimage"), OLD_FORMS)
def test_old_forms_are_verified_over_what_old_readers_put_together(
    action: str, subject: str, body: dict[str, Any], preimage: str, author: Author
) -> None:
    said = {
        key: value.format(a=author.address) if isinstance(value, str) else value
        for key, value in body.items()
    }
    signed = preimage.format(id="ab" * 32, a=author.address, t=SIGNED_AT)
    signature = author.key.sign_message(signed)
    text = wrap(
        action, subject, said | {"timestamp": SIGNED_AT, "signature": signature}
    )

    found = explain(text, publisher=author.address)

    assert found.says == f"a historical {action}"
    assert held(found) == {"historical signature": True}
    assert signed in found.checks[0].says
    assert verdicts(found) == ["shown"] * 5


def test_an_old_edit_whose_patch_cannot_be_decoded_says_so() -> None:
    said = explain(wrap("edit", "artifact", {"txid": "ab" * 32, "patch": 5}))

    assert held(said) == {"patch": False}
    assert "operations" not in said.facts


@pytest.mark.parametrize(
    ("text", "kind", "named"),
    [
        ("", "foreign", "no floData at all"),
        ("p64:AA==", "foreign", "OIP 5"),
        ("gp64:AA==", "foreign", "OIP 5"),
        ("text:hello", "foreign", "a note"),
        ("text:alexandria-historian-v001:pool", "foreign", "historian"),
        ("oip-historian-2:F", "foreign", "historian"),
        ('{"oip-041":{}}', "foreign", "OIP 0.41"),
        ('json:{"oip-041":{}}', "foreign", "OIP 0.41"),
        ('{ "alexandria-media":{}}', "foreign", "Alexandria"),
        ("json:{}", "foreign", "without the key oip042"),
        ("A" * 87 + "=", "foreign", "a signature by itself"),
        ("hello", "foreign", "nothing that is known"),
        ("\ud800", "foreign", "nothing that is known"),
        ("etdb-chain:1:oX:ab::sig", "chain", "block 1"),
        ("etdb-chain:", "chain", "block 1"),
        ("etdb:1:block:ab", "chain", "block's signature"),
    ],
)
def test_what_is_not_for_us_is_named_and_ignored(
    text: str, kind: str, named: str
) -> None:
    said = explain(text)

    assert said.kind == kind
    assert named in said.says
    assert verdicts(said) == ["ignored"] * 5


def test_the_fields_of_a_chains_declaration_are_told() -> None:
    said = explain("etdb-chain:1:oX:abcd:::sig")

    assert said.facts["address"] == "oX"
    assert said.facts["random"] == "abcd"


@pytest.mark.parametrize(
    ("text", "code"),
    [("json:{", "B1"), ("json:[]", "B2"), ('json:{"oip042":{}}', "B2")],
)
def test_a_message_that_cannot_be_read_names_its_clause(text: str, code: str) -> None:
    said = explain(text)

    assert said.says == f"a message that breaks {code}"
    assert held(said) == {"text": False}
    assert verdicts(said) == ["rejected"] * 5


def test_real_parts_say_where_a_reader_puts_them(vectors: Vectors) -> None:
    for vector in vectors("05_multipart_parts.json")["vectors"]:
        said = explain(vector["floData"])

        assert said.kind == "part"
        assert held(said) == {"part signature": True}
        assert verdicts(said) == ["part"] * 5
        assert said.facts["address"] == vector["address"]
        assert vector["part"] == 0 or vector["reference"] in said.outcomes[0].says


def test_real_garbage_is_told_as_parts_that_break_r7(vectors: Vectors) -> None:
    for vector in vectors("05b_multipart_invalid.json")["vectors"]:
        said = explain(vector["floData"])

        assert said.kind == "part"
        assert verdicts(said) == ["rejected"] * 5
        assert list(held(said).values()) == [False]


def test_a_real_record_in_parts_is_joined_and_told(vectors: Vectors) -> None:
    (vector,) = vectors("06_multipart_sequences.json")["vectors"]

    (joined,) = explain_parts([(text, None) for text in vector["parts"]])

    assert joined.indexes == (0, 1)
    assert joined.message is not None
    assert joined.message.size_bytes == vector["assembled_bytes"]
    assert verdicts(joined.message) == ["B"] * 5


def long_parts(author: Author) -> list[str]:
    return author.part_texts(author.publish(author.artifact({"artNotes": "x" * 3000})))


def test_a_set_with_a_gap_says_which_part_is_missing(author: Author) -> None:
    texts = long_parts(author)
    del texts[1]

    (joined,) = explain_parts([(text, None) for text in texts])

    assert joined.message is None
    assert joined.says.endswith("missing: 1")


def test_parts_are_put_together_by_address_and_max(author: Author) -> None:
    other = Author(2)
    mixed = [*long_parts(author), "no part", *long_parts(other)]

    joined = explain_parts([(text, None) for text in mixed])

    assert [found.message is not None for found in joined] == [True, True]


def test_a_part_of_another_set_does_not_join_where_the_txid_is_known(
    author: Author,
) -> None:
    first, *later = long_parts(author)
    carried: list[tuple[str, Txid | None]] = [(text, None) for text in later]

    (joined,) = explain_parts([(first, FIRST), *carried])
    (other,) = explain_parts([(first, Txid("ef" * 32)), *carried])

    assert joined.message is not None
    assert other.message is None
    assert "refers to" in other.says


def test_a_part_that_is_not_signed_is_not_joined(author: Author) -> None:
    texts = long_parts(author)
    texts[1] = texts[1][:-1] + "y"

    (joined,) = explain_parts([(text, None) for text in texts])

    assert joined.message is None
    assert explain(texts[1]).outcomes[0].says.startswith("R7: ")


@given(
    st.text()
    | st.text().map(lambda text: f"json:{text}")
    | st.text().map(lambda text: f'json:{{"oip042":{text}}}')
    | st.text().map(lambda text: f"oip-mp({text}")
    | st.binary().map(lambda data: data.decode("utf-8", "surrogateescape"))
)
def test_explaining_never_raises_and_is_always_json(text: str) -> None:
    said = explain(text, publisher=Author().address)
    explain_parts([(text, None)])

    json.dumps([said.facts, said.says]).encode("utf-8")
