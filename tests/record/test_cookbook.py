"""The attacker's cookbook: what nobody can make a signature say.

Every attack that a check is there for has a twin: the same with that one check
taken out, which then succeeds.

| attack | test |
|---|---|
| a content signature as another action's | `test_a_content_signature_of_one_action_serves_no_other` |
| a signed body under another action | `test_a_signed_body_is_believed_under_its_own_action_only` |
| an old signature as another action's | `test_an_old_signature_of_something_else_makes_no_record` |
| ... as a register's | `test_an_old_register_whose_signature_could_be_anothers_is_refused` of `test_old_messages.py` |
| a stripped content signature on another ledger | `test_an_old_signature_taken_from_a_signed_record_makes_no_other` |
| a malleated signature | `test_a_malleated_content_signature_is_refused`, `test_a_malleated_old_signature_changes_nothing` |
| a replayed digest, a front-run copy | `test_a_copy_in_front_of_the_original_is_one_more_anchor` |
| an old edit played back | `test_an_edit_played_back_does_not_come_back` |
| an edit of another record | `test_an_edit_is_of_the_record_it_names_and_no_other` |
| a withdrawal before its record | `test_a_withdrawal_may_come_before_its_record` |
| siblings | `test_of_siblings_the_same_is_current_in_any_order` |
| a takeover by register | `test_nobody_names_an_address_but_its_key` |
| an honest sid claimed by another | `test_a_sid_is_its_own_address_s` |
| a part-0 txid ground to 10 digits | `test_parts_of_two_messages_do_not_make_a_third_that_is_signed` |
| part 0 malleated in flight | `test_a_set_whose_part_0_was_malleated_waits_and_is_sent_anew` |
| MAX of 1,000,000 | `test_a_part_of_a_million_is_refused` |
| a signature out of range | `test_a_content_signature_out_of_range_is_refused` |
| a clock far off | `test_what_a_block_says_of_the_time_decides_nothing` |
| a patch that takes away or grows | `test_an_old_patch_is_never_applied`, `test_an_edit_without_its_signer_or_over_1_mib_is_refused` |
"""  # noqa: E501 - a table

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etdb.identity import Digest, Txid, encode_address
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import SignedTransaction
from etdb.record.canonical import canonical_bytes, digest_of, signature_holder
from etdb.record.message import LedgerKind, Place
from etdb.record.oip042 import wrap, wrap_publish, wrap_value
from etdb.record.parts import encode_part, join, parse_part
from etdb.record.rules import (
    LAST_OLD_HEIGHT,
    RecordClass,
    Rejection,
    Statement,
    attested_old,
    judge,
    resolve,
)
from etdb.record.signing import (
    content_text,
    hash160,
    sign_body,
    verify_message,
)
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author, body_in, digest_in

Hear = Callable[..., Any]
Without = Callable[[str], None]
CONTENT = "etdb.record.clause.verify_content_signature"
OLD = "etdb.record.clause.verify_old_signature"
TIME = "etdb.record.clause.timestamp_of"
BESIDE = "etdb.record.verdict.verify_nothing_beside"
ROOT = "etdb.record.verdict.verify_root"


def with_body(text: str, **changes: Any) -> str:
    return wrap_publish(body_in(text) | changes)


def with_details(text: str, **changes: Any) -> str:
    body = body_in(text)
    return wrap_publish(body | {"details": body["details"] | changes})


def sign_content_as(action: str, author: Author) -> str:
    body = author.artifact()
    content = author.key.sign_message(content_text(action, digest_of("publish", body)))
    body["details"]["contentSignature"] = content
    return wrap_publish(author.sign_old("publish", body))


def changed_title(author: Author) -> str:
    return with_body(author.publish(), info={"title": "Other"})


def changed_detail(author: Author) -> str:
    return with_details(author.publish(), strain="O1")


def signed_as_edit(author: Author) -> str:
    return sign_content_as("edit", author)


def signed_by_stranger(author: Author) -> str:
    theirs = Author(2).publish()
    content = body_in(theirs)["details"]["contentSignature"]
    return with_details(author.publish(), contentSignature=content)


def null_content_signature(author: Author) -> str:
    return with_details(author.publish(), contentSignature=None)


def empty_content_signature(author: Author) -> str:
    return with_details(author.publish(), contentSignature="")


def old_signature_gone(author: Author) -> str:
    body = body_in(author.publish())
    del body["signature"]
    return wrap_publish(body)


def old_signature_of_another_time(author: Author) -> str:
    other = author.sign_old("publish", author.artifact(timestamp=SIGNED_AT + 1))
    return with_body(author.publish(), signature=other["signature"])


def other_address_version(author: Author) -> str:
    address = encode_address(0, hash160(author.key.public_key))
    body = author.artifact(floAddress=address)
    content = author.key.sign_message(
        content_text("publish", digest_of("publish", body))
    )
    body["details"]["contentSignature"] = content
    return wrap_publish(author.sign_old("publish", body))


def register_as_deactivate(author: Author) -> str:
    body = body_in(author.register("lab")) | {"digest": "ab" * 32}
    return wrap("deactivate", "artifact", body)


@pytest.mark.parametrize(
    ("attack", "code", "checks"),
    [
        (changed_title, "B4", [CONTENT]),
        (changed_detail, "B4", [CONTENT]),
        (signed_as_edit, "B4", [CONTENT]),
        (signed_by_stranger, "B4", [CONTENT]),
        (null_content_signature, "B5", [CONTENT]),
        (empty_content_signature, "B5", [CONTENT]),
        (other_address_version, "B5", [CONTENT, OLD]),
        (old_signature_gone, "B6", [OLD]),
        (old_signature_of_another_time, "B6", [OLD]),
        (register_as_deactivate, "B4", [CONTENT]),
    ],
)
def test_an_attack_is_rejected_and_its_twin_without_the_check_is_believed(
    attack: Callable[[Author], str],
    code: str,
    checks: list[str],
    author: Author,
    hear: Hear,
    without: Without,
) -> None:
    text = attack(author)

    for kind in LedgerKind:  # never a downgrade to an old class, on no ledger
        rejection = hear(text, kind)
        assert isinstance(rejection, Rejection)
        assert rejection.code == code

    for check in checks:
        without(check)
    assert hear(text).record_class is RecordClass.A


def test_the_time_of_a_content_signed_body_is_within_range(
    author: Author, hear: Hear, without: Without
) -> None:
    early = author.artifact(timestamp=1_599_999_999)
    content = content_text("publish", digest_of("publish", early))
    early["details"]["contentSignature"] = author.key.sign_message(content)
    text = wrap_publish(author.sign_old("publish", early))

    assert hear(text).code == "B5"

    without(TIME)
    assert hear(text).record_class is RecordClass.A


def test_a_time_spelt_as_a_real_number_is_no_integer_literal(
    author: Author, hear: Hear
) -> None:
    text = author.publish().replace(f":{SIGNED_AT},", f":{SIGNED_AT}.0,")

    assert hear(text).code == "B5"


def test_a_signature_beside_a_content_signed_publish_is_refused(
    author: Author, hear: Hear, without: Without
) -> None:
    wrapped = {"artifact": body_in(author.publish()), "signature": "x"}
    text = wrap_value({"publish": wrapped})

    assert hear(text).code == "B2"

    without(BESIDE)
    assert hear(text).record_class is RecordClass.A


def test_a_stripped_content_signature_leaves_an_old_record_with_the_same_id(
    author: Author, hear: Hear
) -> None:
    text = author.publish()
    body = body_in(text)
    del body["details"]["contentSignature"]

    stripped = hear(wrap_publish(body))

    assert stripped.record_class is RecordClass.UNATTESTED
    assert stripped.digest == digest_in(text)


def test_a_publish_with_a_revision_is_refused_signed_or_not(
    author: Author, hear: Hear, without: Without
) -> None:
    body = author.artifact()
    body["details"]["revision"] = None
    texts = [author.publish(body), author.publish_old(body)]

    assert [hear(text).code for text in texts] == ["R5", "R5"]

    without(ROOT)
    assert [hear(text).action for text in texts] == ["publish", "publish"]


def test_an_edit_stripped_to_a_publish_is_refused(author: Author, hear: Hear) -> None:
    body = body_in(author.edit(author.publish(), 2))
    del body["details"]["contentSignature"]

    assert hear(wrap_publish(body), LedgerKind.FLO_REGTEST).code == "R5"


REVISION = {"of": "ab" * 32, "number": 2, "previous": "cd" * 32}


@pytest.mark.parametrize(
    "revision",
    [
        None,
        [],
        {},
        REVISION | {"of": None},
        REVISION | {"of": "AB" * 32},
        REVISION | {"previous": "cd"},
        REVISION | {"number": 1},
        REVISION | {"number": 0},
        REVISION | {"number": -2},
        REVISION | {"number": 2.5},
        REVISION | {"number": "2"},
        REVISION | {"number": True},
        REVISION | {"number": None},
    ],
)
def test_an_edit_with_another_revision_is_refused(
    revision: object, author: Author, hear: Hear
) -> None:
    artifact = author.artifact()
    artifact["details"]["revision"] = revision
    body = sign_body("edit", artifact, author.key)
    patch = [{"op": "replace", "path": "", "value": body}]

    assert hear(wrap_value({"edit": {"artifact": {"patch": patch}}})).code == "R5"


def test_an_edit_without_a_revision_is_refused(author: Author, hear: Hear) -> None:
    body = sign_body("edit", author.artifact(), author.key)
    patch = [{"op": "replace", "path": "", "value": body}]

    assert hear(wrap_value({"edit": {"artifact": {"patch": patch}}})).code == "R5"


def test_a_revision_is_the_number_that_its_literal_means(
    author: Author, hear: Hear
) -> None:
    text = author.edit(author.publish(), 2).replace('"number":2,', '"number":2.0,')

    assert '"number":2.0,' in text
    assert hear(text).revision.number == 2


@pytest.mark.parametrize("digest", [None, 1, "", "AB" * 32, "ab" * 31])
def test_a_deactivate_of_no_digest_is_refused(
    digest: object, author: Author, hear: Hear
) -> None:
    assert hear(author.deactivate(author.publish(), digest=digest)).code == "B8"


@given(st.data())
def test_a_flipped_byte_changes_nothing_or_is_not_believed(draw: st.DataObject) -> None:
    raw = bytearray(Author().publish().encode())
    at = draw.draw(st.integers(0, len(raw) - 1))
    before = canonical_bytes(body_in(raw.decode()))

    raw[at] ^= draw.draw(st.integers(1, 255))

    said = judge(
        raw.decode("utf-8", "surrogateescape"),
        place=Place("l", 1, 1, Txid("ef" * 32), 1),
        ledger_kind=LedgerKind.EMBEDDED,
    )
    if isinstance(said, Statement) and said.record_class is not RecordClass.UNATTESTED:
        assert canonical_bytes(said.body) == before


def test_no_flipped_bit_of_a_signed_record_is_believed(
    author: Author, hear: Hear
) -> None:
    raw = author.publish().encode()
    stripped = set()

    for at in range(len(raw)):
        flipped = bytearray(raw)
        flipped[at] ^= 1

        said = hear(flipped.decode("utf-8", "surrogateescape"))

        if isinstance(said, Statement):
            assert said.record_class is RecordClass.UNATTESTED
            stripped.add(at)

    # Without its name the content signature is none, and what is left is an old
    # record of another digest, whose signature never covered what it says.
    names = [raw.index(b"details"), raw.index(b"contentSignature")]
    lengths = [len(b"details"), len(b"contentSignature")]
    assert stripped <= {
        at
        for start, length in zip(names, lengths, strict=True)
        for at in range(start, start + length)
    }


# Signatures of one thing offered as another's.

ACTIONS = ("publish", "edit", "register", "deactivate")
REVISED = {"of": "ab" * 32, "number": 2, "previous": "ab" * 32}


def bare_body(action: str, author: Author) -> dict[str, Any]:
    common = {"floAddress": author.address, "timestamp": SIGNED_AT}
    if action == "register":
        return common | {"alias": "lab"}
    if action == "deactivate":
        return common | {"artifactID": "ab" * 32, "digest": "cd" * 32}
    details = {"revision": REVISED} if action == "edit" else {}
    return author.artifact(details)


def enveloped(action: str, body: dict[str, Any]) -> str:
    if action == "edit":
        patch = [{"op": "replace", "path": "", "value": body}]
        return wrap_value({"edit": {"artifact": {"patch": patch}}})
    return wrap(action, "pub" if action == "register" else "artifact", body)


@pytest.mark.parametrize("signed_for", [*ACTIONS, "block", ""])
@pytest.mark.parametrize("action", ACTIONS)
def test_a_content_signature_of_one_action_serves_no_other(
    action: str, signed_for: str, author: Author, hear: Hear, without: Without
) -> None:
    body = sign_body(action, bare_body(action, author), author.key)
    digest = digest_of(action, body)
    holder = signature_holder(action, body)
    assert isinstance(holder, dict)
    holder["contentSignature"] = author.key.sign_message(
        content_text(signed_for, digest)
    )
    text = enveloped(action, body)

    for kind in LedgerKind:
        said = hear(text, kind)
        if signed_for == action:
            assert said.record_class is RecordClass.A
        else:
            assert said.code == "B4"

    without(CONTENT)
    assert hear(text).record_class is RecordClass.A


@pytest.mark.parametrize("signed_for", ACTIONS)
@pytest.mark.parametrize("action", ACTIONS)
def test_a_signed_body_is_believed_under_its_own_action_only(
    action: str, signed_for: str, author: Author, hear: Hear
) -> None:
    body = sign_body(signed_for, bare_body(signed_for, author), author.key)

    said = hear(enveloped(action, body))

    if action == signed_for:
        assert said.record_class is RecordClass.A
    else:
        assert isinstance(said, Rejection) or said.record_class is RecordClass.SHOWN


LIFTED = {
    "an alias": "lab",
    "a withdrawn txid": "ab" * 32,
    "a withdrawn publisher": "deactivate",
    "a transfer": "ab" * 32 + "-oX",
    "nothing": "",
}


@pytest.mark.parametrize("subject", LIFTED.values(), ids=LIFTED)
def test_an_old_signature_of_something_else_makes_no_record(
    subject: str, author: Author, hear: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    lifted = author.key.sign_message(f"{subject}-{author.address}-{SIGNED_AT}")
    body = author.artifact(
        info={"title": "Forged"}, storage={"network": "ipfs", "location": subject}
    )
    text = wrap_publish(body | {"signature": lifted})

    assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.UNATTESTED

    monkeypatch.setattr("etdb.record.verdict.names_a_directory", lambda _: True)
    assert hear(text, LedgerKind.FLO_MAIN).record_class is RecordClass.C


def forged_from(text: str) -> str:
    """An old record of another title, with the old signature of a signed body."""
    body = body_in(text)
    details = dict(body["details"])
    for name in ("contentSignature", "revision"):
        details.pop(name, None)
    return wrap_publish(body | {"details": details, "info": {"title": "Forged"}})


Make = Callable[..., Index]


def class_in(index: Index, text: str) -> str:
    return str(queries.get_record(index, digest_in(text))["class"])


def listed(index: Index) -> set[Digest]:
    return {Digest(record["id"]) for record in queries.search(index).results}


@pytest.mark.parametrize("taken_from", ["publish", "edit"])
def test_an_old_signature_taken_from_a_signed_record_makes_no_other(
    taken_from: str, author: Author, make_index: Make, hear: Hear
) -> None:
    root = author.publish(author.artifact(timestamp=SIGNED_AT - 1))
    signed = author.edit(root, 2) if taken_from == "edit" else author.publish()
    forged = forged_from(signed)
    chain = MemoryLedger("chain", LedgerKind.EMBEDDED)
    regtest = MemoryLedger("regtest", LedgerKind.FLO_REGTEST)
    regtest.mine(forged)
    index = make_index(regtest, chain)
    assert class_in(index, forged) == "C", "no node knows better yet"

    chain.mine(root, signed)
    follow(index, chain)

    assert class_in(index, forged) == "unattested"
    assert digest_in(forged) not in listed(index)
    assert class_in(make_index(chain, regtest), forged) == "unattested"
    claim = [(hear(forged, LedgerKind.FLO_REGTEST), place_at("regtest"))]
    assert attested_old(claim, has_better=True) == set()
    assert attested_old(claim, has_better=False) == {digest_in(forged)}  # the twin

    chain.reorganise(1)
    follow(index, chain)
    assert class_in(index, forged) == "C"


def place_at(ledger: str, time: int = SIGNED_AT) -> Place:
    return Place(ledger, 7, 1, Txid("ef" * 32), time)


# Signatures spelt in another way.

ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


def change(signature: str, alter: Callable[[bytearray], None]) -> str:
    raw = bytearray(base64.b64decode(signature))
    alter(raw)
    return base64.b64encode(raw).decode()


def mirror(raw: bytearray) -> None:
    """s to N - s, and the recovery id that goes with it."""
    raw[33:] = (ORDER - int.from_bytes(raw[33:], "big")).to_bytes(32, "big")
    raw[0] = 31 + (raw[0] - 31 ^ 1)


SPELLINGS: dict[str, Callable[[str], str]] = {
    "high S": lambda text: change(text, mirror),
    "no padding": lambda text: text.rstrip("="),
    "more padding": lambda text: text + "=",
    "unused bits": lambda text: text[:-2] + chr(ord(text[-2]) + 1) + "=",
    "a space before": lambda text: " " + text,
    "a newline after": lambda text: text + "\n",
    "a newline inside": lambda text: text[:44] + "\n" + text[44:],
    "the URL alphabet": lambda text: "-" + text[1:].translate({43: 45, 47: 95}),
    "hex": lambda text: base64.b64decode(text).hex(),
    "64 bytes": lambda text: change(text, lambda raw: raw.__delitem__(-1)),
    "66 bytes": lambda text: change(text, lambda raw: raw.append(0)),
}


@pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS)
def test_a_malleated_content_signature_is_refused(
    spell: Callable[[str], str], author: Author, hear: Hear, without: Without
) -> None:
    signature = body_in(author.publish())["details"]["contentSignature"]
    text = with_details(author.publish(), contentSignature=spell(signature))

    for kind in LedgerKind:
        assert hear(text, kind).code == "B5"

    without(CONTENT)
    assert hear(text).record_class is RecordClass.A


def test_twin_the_form_of_old_signatures_would_take_a_high_s(
    author: Author, hear: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    signature = body_in(author.publish())["details"]["contentSignature"]
    text = with_details(author.publish(), contentSignature=change(signature, mirror))

    def loosely(address: str, given: str, action: str, digest: Digest) -> None:
        verify_message(address, given, content_text(action, digest))

    monkeypatch.setattr(CONTENT, loosely)

    assert hear(text).record_class is RecordClass.A


def test_a_malleated_old_signature_changes_nothing(author: Author, hear: Hear) -> None:
    text = author.publish()
    malleated = with_body(text, signature=change(body_in(text)["signature"], mirror))

    assert malleated != text
    assert hear(malleated).digest == hear(text).digest
    assert hear(malleated).record_class is RecordClass.A


def put(at: slice, value: int) -> Callable[[bytearray], None]:
    def alter(raw: bytearray) -> None:
        raw[at] = value.to_bytes(at.stop - at.start, "big")

    return alter


HEADER, R, S = slice(0, 1), slice(1, 33), slice(33, 65)
OUT_OF_RANGE = [
    *((R, value) for value in (0, ORDER, ORDER + 1, 2**256 - 1)),
    *((S, value) for value in (0, ORDER, ORDER - 1, 2**256 - 1)),
    *((HEADER, value) for value in (0, 26, 27, 30, 33, 34, 35, 38, 39, 255)),
]


@pytest.mark.parametrize(("at", "value"), OUT_OF_RANGE)
def test_a_content_signature_out_of_range_is_refused(
    at: slice, value: int, author: Author, hear: Hear, without: Without
) -> None:
    signature = body_in(author.publish())["details"]["contentSignature"]
    altered = change(signature, put(at, value))
    text = with_details(author.publish(), contentSignature=altered)

    for kind in LedgerKind:
        assert hear(text, kind).code in {"B4", "B5"}

    without(CONTENT)
    assert hear(text).record_class is RecordClass.A


# Statements copied, played back, moved.


def test_a_copy_in_front_of_the_original_is_one_more_anchor(
    author: Author, make_index: Make
) -> None:
    text = author.publish(author.artifact({"artNotes": "x" * 2000}))
    ledger = MemoryLedger()
    ours = ledger.compose(author.part_texts(text)[0].encode())
    later = author.part_texts(text, ours.txid)[1:]
    ledger.mine(text)
    ledger.mine(author.part_texts(text)[0], *later)
    ledger.send([ours])

    record = queries.get_record(make_index(ledger), digest_in(text))

    assert record["publisher"]["address"] == author.address
    assert [anchor["height"] for anchor in record["anchors"]] == [1, 3]
    assert record["anchors"][1]["txid"] == ours.txid
    # The twin: by transaction, each anchor would be a record of its own.
    assert len({anchor["txid"] for anchor in record["anchors"]}) == 2


def test_an_edit_played_back_does_not_come_back(
    author: Author, make_index: Make
) -> None:
    root = author.publish()
    second = author.edit(root, 2, strain="second")
    third = author.edit(root, 3, second, strain="third")
    fourth = author.edit(root, 4, third, strain="second")
    ledger, twin = MemoryLedger("ledger"), MemoryLedger("twin")
    for text in (root, second, third, second, root, second):
        ledger.mine(text)
        twin.mine(text)
    twin.mine(fourth)

    record = queries.get_record(make_index(ledger), digest_in(root))
    signed_anew = queries.get_record(make_index(twin), digest_in(root))

    assert record["details"]["strain"] == "third"
    assert signed_anew["details"]["strain"] == "second"


def test_an_edit_is_of_the_record_it_names_and_no_other(
    author: Author, stranger: Author, hear: Hear, without: Without
) -> None:
    one = author.publish()
    other = author.publish(author.artifact({"sid": "syn-2"}))
    edit = author.edit(one, 2)
    moved = edit.replace(digest_in(one), digest_in(other))

    assert hear(moved).code == "B4"
    assert resolve(hear(other), [hear(edit)], []).current == hear(other)
    theirs = stranger.edit(one, 2)
    assert resolve(hear(one), [hear(theirs)], []).current == hear(one)

    named = replace(hear(one), address=stranger.address)  # the twins
    assert resolve(named, [hear(theirs)], []).current == hear(theirs)
    without(CONTENT)
    assert resolve(hear(other), [hear(moved)], []).current == hear(moved)


def test_a_withdrawal_may_come_before_its_record(
    author: Author, stranger: Author, make_index: Make
) -> None:
    root = author.publish()
    early, honest = MemoryLedger("early"), MemoryLedger("honest")
    early.mine(author.deactivate(root))
    early.mine(root)
    honest.mine(stranger.deactivate(root))
    honest.mine(root)

    assert listed(make_index(early)) == set()
    assert listed(make_index(honest, early)) == set()
    # The twin: a stranger's, and one that nobody kept, withdraw nothing.
    assert listed(make_index(honest)) == {digest_in(root)}


def test_of_siblings_the_same_is_current_in_any_order(
    author: Author, make_index: Make
) -> None:
    root = author.publish()
    siblings = [author.edit(root, 2, strain=word) for word in ("a", "b", "c")]
    smallest, larger, _ = sorted(siblings, key=digest_in)
    others = [edit for edit in siblings if edit != smallest]

    def show(name: str, order: Sequence[str]) -> str:
        ledger = MemoryLedger(name)
        for text in [*order, root]:
            ledger.mine(text)
        record = queries.get_record(make_index(ledger), digest_in(root))
        return str(record["details"]["strain"])

    def strain(edit: str) -> str:
        return str(body_in(edit)["details"]["strain"])

    assert show("x", siblings) == show("y", siblings[::-1]) == strain(smallest)
    # The twin: among the others it is another, in any order too.
    assert show("z", others) == show("w", others[::-1]) == strain(larger)


def test_nobody_names_an_address_but_its_key(
    author: Author, stranger: Author, make_index: Make, hear: Hear, without: Without
) -> None:
    taken = body_in(author.register("Taken over"))
    body = taken | {"contentSignature": body_in(stranger.register("x"))["signature"]}
    takeover = wrap("register", "pub", body)
    ledger = MemoryLedger()
    ledger.mine(author.publish(), author.register("The Lab"), takeover)
    ledger.mine(stranger.register("The Lab", SIGNED_AT + 1))

    (record,) = queries.search(make_index(ledger)).results

    assert record["publisher"] == {"address": author.address, "name": "The Lab"}
    assert hear(takeover).code == "B4"
    without(CONTENT)
    assert hear(takeover).address == author.address


def test_a_sid_is_its_own_address_s(
    author: Author, stranger: Author, make_index: Make
) -> None:
    ours, theirs = author.publish(), stranger.publish()
    ledger = MemoryLedger()
    ledger.mine(theirs)
    ledger.mine(ours)
    index = make_index(ledger)

    found = queries.find_by_sid(index, author.address, "syn-1")

    assert found is not None
    assert found["id"] == digest_in(ours)
    # The twin: by the sid alone both are found.
    assert queries.search(index, 'sid:"syn-1"').total == 2


def test_what_a_block_says_of_the_time_decides_nothing(author: Author) -> None:
    texts = [author.publish(), author.publish_old(), author.register("lab")]
    for text in texts:
        said = {
            judge(text, place=place_at("l", time), ledger_kind=kind) is not None
            and str(judge(text, place=place_at("l", time), ledger_kind=kind))
            for kind in [LedgerKind.FLO_REGTEST]
            for time in (0, 1, SIGNED_AT, 2**32 - 1, 2**63)
        }

        assert len(said) == 1


# Parts.


def old_pair(author: Author) -> tuple[list[str], list[str]]:
    """The parts of two old records of one location and time, and of one MAX."""
    texts = [
        author.publish_old(
            author.artifact({"artNotes": letter * 2000}, info={"title": letter})
        )
        for letter in "ab"
    ]
    return author.part_texts(texts[0]), author.part_texts(texts[1])


def test_parts_of_two_messages_do_not_make_a_third_that_is_signed(
    author: Author, hear: Hear, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = old_pair(author)
    first = "0123456789" + "a" * 54
    last = len(one) - 1
    # What ends the first message refers to ten digits, as old clients did.
    short = [
        encode_part(at, last, author.address, first[:10], part.data, author.key)
        for at, part in enumerate(map(parse_part, one))
        if at
    ]
    mixed = [parse_part(part) for part in [other[0], *short]]
    text = join(mixed)

    said = hear(text, LedgerKind.FLO_MAIN, height=LAST_OLD_HEIGHT + 1, parts=mixed)

    assert said.body["info"]["title"] == "b"
    assert said.body["details"]["artNotes"] != "b" * 2000
    assert said.record_class is RecordClass.UNATTESTED
    monkeypatch.setattr("etdb.record.clause.has_whole_references", lambda _: True)
    assert hear(text, parts=mixed).record_class is RecordClass.B


def send_as(ledger: MemoryLedger, txid: str, text: str) -> None:
    ledger.send([SignedTransaction(Txid(txid), b"\0" * 8 + text.encode(), 1)])


def test_a_ground_txid_of_part_0_takes_no_part_that_names_all_64_digits(
    author: Author, make_index: Make
) -> None:
    one, other = old_pair(author)
    honest, ground = "0123456789" + "a" * 54, "0123456789" + "b" * 54
    ledger = MemoryLedger()
    send_as(ledger, ground, other[0])
    send_as(ledger, honest, one[0])
    text = "".join(parse_part(part).data for part in one)
    last = len(one) - 1
    for digits in (64, 10):
        for at, part in enumerate(map(parse_part, one)):
            if at:
                reference = honest[:digits]
                ledger.mine(
                    encode_part(
                        at, last, author.address, reference, part.data, author.key
                    )
                )
        index = make_index(ledger)
        assert class_in(index, text) == "B"
        if digits == 64:
            assert queries.status(index)["ledgers"][0]["messages"] == 1

    # The twin: ten digits join the ground set as well, to what nobody signed.
    assert queries.status(index)["ledgers"][0]["messages"] == 2
    assert listed(index) == {digest_in(text)}


def test_a_set_whose_part_0_was_malleated_waits_and_is_sent_anew(
    author: Author, make_index: Make
) -> None:
    text = author.publish(author.artifact({"artNotes": "x" * 2000}))
    ledger = MemoryLedger()
    first, *later = author.part_texts(text, "ab" * 32)
    send_as(ledger, "cd" * 32, first)
    ledger.mine(*later)
    index = make_index(ledger)
    assert queries.search(index).total == 0
    # The twin: without references the same parts would have been a message.
    assert join([parse_part(part) for part in [first, *later]]) == text

    ledger.mine(*author.part_texts(text, "cd" * 32)[1:])
    follow(index, ledger)

    assert listed(index) == {digest_in(text)}


def test_a_part_of_a_million_is_refused(
    author: Author, make_index: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    million = encode_part(0, 10**6, author.address, "", "x", author.key)
    ledger = MemoryLedger()
    ledger.mine(million)

    (rejected,) = queries.list_rejected(make_index(ledger)).results

    assert rejected["code"] == "R7"
    monkeypatch.setattr("etdb.record.parts.LAST_INDEX", 10**6)  # the twin
    monkeypatch.setattr("etdb.record.parts._DECIMAL", re.compile(r"[0-9]+\Z"))
    assert parse_part(million).max == 10**6


# Edits that take away or grow.

PATCHES: list[Any] = [
    [{"op": "remove", "path": "/floAddress"}],
    [{"op": "remove", "path": ""}],
    [{"op": "copy", "from": "/info", "path": "/info/x"}] * 1000,
    {"remove": ["/floAddress", "/signature"], "copy": [{"from": "", "path": "/x"}]},
    '[{"op":"replace","path":"/info/title","value":"Forged"}]',
]


@pytest.mark.parametrize(
    "patch", PATCHES, ids=["remove", "empty", "copy", "2018", "text"]
)
def test_an_old_patch_is_never_applied(
    patch: Any, author: Author, make_index: Make
) -> None:
    root = author.publish()
    ledger = MemoryLedger()
    txid = ledger.mine(root).carried[0].txid
    artifact = {"txid": txid, "timestamp": SIGNED_AT, "patch": patch}
    signature = author.key.sign_message(f"{txid}-{SIGNED_AT}")
    ledger.mine(wrap_value({"edit": {"artifact": artifact, "signature": signature}}))

    record = queries.get_record(make_index(ledger), digest_in(root))

    assert record["title"] == "Synthetic"
    assert record["text"] == root


def test_an_edit_without_its_signer_or_over_1_mib_is_refused(
    author: Author, hear: Hear
) -> None:
    body = body_in(author.edit(author.publish(), 2))
    headless = {name: body[name] for name in body if name != "floAddress"}
    grown = "json:" + enveloped("edit", body)[5:].replace("Made for", "x" * (1 << 20))

    assert hear(enveloped("edit", headless)).code == "B5"
    assert hear(grown).code == "R7"


def test_every_attack_of_the_table_is_a_test_of_this_module() -> None:
    rows = [line for line in str(__doc__).splitlines() if line.startswith("| ")][1:]
    named: Sequence[str] = [
        name
        for row in rows
        if " of `" not in row
        for name in re.findall(r"`(test_\w+)`", row)
    ]

    assert len(named) >= 18
    assert [name for name in named if name not in globals()] == []
