"""The history of a record: what became of it, who did it, what it changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from etdb.errors import NotFoundError
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.index.history import HistoryLimits, list_versions
from etdb.record.canonical import digest_of
from etdb.record.edits import wrap_edit
from etdb.record.oip042 import wrap_value
from etdb.record.signing import sign_body
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import SIGNED_AT, Author, body_in, digest_in

Make = Callable[..., Index]


def of(told: dict[str, Any], text: str) -> dict[str, Any]:
    """The one version that a text is."""
    (found,) = [one for one in told["versions"] if one["id"] == digest_in(text)]
    return dict(found)


def states(told: dict[str, Any]) -> list[tuple[int, str]]:
    return [(one["number"], one["state"]) for one in told["versions"]]


def test_a_record_that_was_never_edited_has_one_version(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    block = ledger.mine(author.register("Synthetic lab"), root)

    told = list_versions(make_index(ledger), digest_in(root))

    assert told == {
        "id": digest_in(root),
        "current": digest_in(root),
        "count": 1,
        "versions": [
            {
                "id": digest_in(root),
                "number": 1,
                "previous": None,
                "state": "current",
                "class": "A",
                "by": author.address,
                "by_name": "Synthetic lab",
                "timestamp": SIGNED_AT,
                "published": "2023-11-14T22:13:20Z",
                "ledger": ledger.info.id,
                "ledger_kind": "flo-regtest",
                "height": 1,
                "position": 2,
                "txid": block.carried[1].txid,
                "time": block.time,
                "coverage": "covered",
                "changes": [],
            }
        ],
        "is_cut": False,
        "pending": 0,
        "refused": 0,
        "withdrawn": None,
        "old": [],
        "old_count": 0,
    }


def test_each_edit_says_what_it_changed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    second = author.edit(root, 2, strain="O395-N1")
    third = author.edit(root, 3, second, strain="O395-N2", tiltMin=-60)
    for text in (root, second, third):
        ledger.mine(text)

    told = list_versions(make_index(ledger), digest_in(root))

    assert states(told) == [(1, "root"), (2, "superseded"), (3, "current")]
    assert told["current"] == digest_in(third)
    assert of(told, second)["changes"] == ["Strain: added"]
    assert of(told, third)["changes"] == [
        'Strain: "O395-N1" → "O395-N2"',
        "Lowest tilt: added",
    ]
    assert [one["height"] for one in told["versions"]] == [1, 2, 3]


def test_the_history_is_found_by_every_name_of_the_record(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    edit = author.edit(root, 2)
    txids = [ledger.mine(text).carried[0].txid for text in (root, edit)]
    index = make_index(ledger)

    for name in (*txids, digest_in(root)[:8], digest_in(edit)):
        assert list_versions(index, name)["id"] == digest_in(root)
    with pytest.raises(NotFoundError):
        list_versions(index, "ff" * 32)


def test_other_files_are_said_even_where_none_is_named(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    revision = {"of": digest_in(root), "number": 2, "previous": digest_in(root)}
    storage = {"network": "ipfs", "location": "Qm" + "a" * 44, "files": []}
    body = author.artifact({"revision": revision}, storage=storage)
    signed = sign_body("edit", body, author.key)
    txid = ledger.mine(root).carried[0].txid
    edit = wrap_edit(signed, txid, author.key)
    ledger.mine(edit)

    told = list_versions(make_index(ledger), digest_in(root))

    assert of(told, edit)["changes"] == ["files: another directory"]


def test_siblings_are_a_fork_and_the_smaller_digest_is_current(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    one, two = sorted(
        (author.edit(root, 2, strain=word) for word in ("a", "b")), key=digest_in
    )
    ledger.mine(root, two, one)

    told = list_versions(make_index(ledger), digest_in(root))

    assert of(told, one)["state"] == "current"
    assert of(told, two)["state"] == "fork"
    assert of(told, two)["changes"] == ["Strain: added"]
    assert told["count"] == 3


def test_an_edit_whose_ancestor_is_unseen_is_pending_until_it_comes(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    second = author.edit(root, 2, strain="a")
    third = author.edit(root, 3, second, strain="b")
    ledger.mine(root, third)
    index = make_index(ledger)

    before = list_versions(index, digest_in(root))
    ledger.mine(second)
    follow(index, ledger)
    after = list_versions(index, digest_in(root))

    assert states(before) == [(1, "current"), (3, "pending")]
    assert (before["count"], before["pending"]) == (1, 1)
    assert of(before, third)["changes"] is None
    assert states(after) == [(1, "root"), (2, "superseded"), (3, "current")]
    assert after["pending"] == 0


def test_a_wrong_number_is_refused_and_said_to_be(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    ledger.mine(root, author.edit(root, 5))

    told = list_versions(make_index(ledger), digest_in(root))

    assert states(told) == [(1, "current"), (5, "refused")]
    assert told["refused"] == 1


def test_an_heir_signs_under_a_name_of_its_own(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    heir = Author(2)
    root = author.publish(author.artifact({"heirs": [heir.address]}))
    edit = heir.edit(root, 2, heirs=[heir.address])
    ledger.mine(root, edit, heir.register("Heir"))

    told = list_versions(make_index(ledger), digest_in(root))

    assert of(told, edit)["state"] == "current"
    assert (of(told, edit)["by"], of(told, edit)["by_name"]) == (heir.address, "Heir")


def test_what_strangers_send_is_counted_and_not_listed(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    stranger = Author(9)
    root = author.publish()
    ledger.mine(root)
    ledger.mine(*(stranger.edit(root, 2, strain=str(n)) for n in range(30)))
    ledger.mine(stranger.deactivate(root))

    told = list_versions(make_index(ledger), digest_in(root))

    assert states(told) == [(1, "current")]
    assert told["refused"] == 31
    assert told["withdrawn"] is None


def test_of_too_many_versions_the_newest_are_listed(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
) -> None:
    texts = [author.publish()]
    for number in range(2, 8):
        texts.append(author.edit(texts[0], number, texts[-1], strain=str(number)))
    ledger.mine(*texts)

    told = list_versions(
        make_index(ledger), digest_in(texts[0]), HistoryLimits(versions=4)
    )

    assert states(told) == [
        (1, "root"),
        (5, "superseded"),
        (6, "superseded"),
        (7, "current"),
    ]
    assert of(told, texts[4])["changes"] == ['Strain: "4" → "5"']
    assert (told["count"], told["is_cut"]) == (7, True)


def test_what_is_too_much_to_read_is_not_compared(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
) -> None:
    root = author.publish()
    second = author.edit(root, 2, strain="a")
    third = author.edit(root, 3, second, strain="b")
    ledger.mine(root, second, third)

    told = list_versions(
        make_index(ledger), digest_in(root), HistoryLimits(read_characters=1)
    )

    assert of(told, third)["changes"] is None
    assert told["current"] == digest_in(third)


def test_changes_are_few_and_short(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    many: dict[str, Any] = {f"k{number}{'x' * 500}": number for number in range(150)}
    edit = author.edit(root, 2, **many)
    ledger.mine(root, edit)

    changes = of(list_versions(make_index(ledger), digest_in(root)), edit)["changes"]

    assert len(changes) == 101
    assert changes[-1] == "and 50 further changes"
    assert max(map(len, changes)) == 300


@pytest.mark.parametrize("files", [7, "x", [1, None, {"fname": {}}], {"a": 1}])
def test_files_of_any_shape_are_compared(
    make_index: Make, ledger: MemoryLedger, author: Author, files: Any
) -> None:
    root = author.publish()
    revision = {"of": digest_in(root), "number": 2, "previous": digest_in(root)}
    storage = {"location": body_in(root)["storage"]["location"], "files": files}
    body = {**author.artifact({"revision": revision}), "storage": storage}
    ledger.mine(root)
    txid = ledger.mine("other").carried[0].txid
    ledger.mine(wrap_edit(sign_body("edit", body, author.key), txid, author.key))
    index = make_index(ledger)

    assert list_versions(index, digest_in(root))["versions"][0]["number"] == 1


def test_a_withdrawal_says_by_whom_when_where_and_why(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    ledger.mine(root, author.register("Synthetic lab"))
    block = ledger.mine(author.deactivate(root, reason="wrong pixel size"))

    index = make_index(ledger)
    told = list_versions(index, digest_in(root))["withdrawn"]

    assert told["reason"] == "wrong pixel size"
    assert (told["by"], told["by_name"]) == (author.address, "Synthetic lab")
    assert (told["height"], told["timestamp"]) == (block.height, SIGNED_AT)
    assert queries.get_record(index, digest_in(root))["withdrawn"] == {
        "by": told["by"],
        "time": told["timestamp"],
        "reason": told["reason"],
    }


def edit_2018(txid: str, **patch: Any) -> str:
    artifact = {"timestamp": SIGNED_AT, "artifactID": txid, "patch": patch}
    return wrap_value({"edit": {"artifact": artifact, "signature": "none"}})


def test_old_forms_are_decoded_and_have_no_effect(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    txid = ledger.mine(root).carried[0].txid
    replaced = [{"path": "/info/title", "value": "Another"}]
    ledger.mine(edit_2018(txid, replace=replaced, remove=["/details/strain"]))
    ledger.mine(edit_2018(txid.upper()))
    ledger.mine(wrap_value({"deactivate": {"artifact": {"artifactID": txid}}}))
    transfer = {"artifactID": txid, "toFloAddress": "oElse", "timestamp": SIGNED_AT}
    ledger.mine(wrap_value({"transfer": {"artifact": transfer}}))
    ledger.mine(edit_2018("ee" * 32))
    index = make_index(ledger)

    told = list_versions(index, digest_in(root))

    assert [(one["action"], one["says"]) for one in told["old"]] == [
        ("edit", 'remove /details/strain; replace /info/title: "Another"'),
        ("edit", "change nothing"),
        ("deactivate", "withdraw the record"),
        ("transfer", "give the record to oElse"),
    ]
    assert [one["height"] for one in told["old"]] == [2, 3, 4, 5]
    assert states(told) == [(1, "current")]
    assert told["withdrawn"] is None
    assert queries.get_record(index, txid)["title"] == "Synthetic"


def test_without_its_content_signature_an_edit_of_ours_is_an_old_form(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    txid = ledger.mine(root).carried[0].txid
    body = {**author.artifact({"strain": "x"}), "signature": "none"}
    ledger.mine(wrap_edit(body, txid, author.key))

    (old,) = list_versions(make_index(ledger), digest_in(root))["old"]

    assert old["says"].startswith("replace the whole record: {")


def test_old_forms_that_say_nonsense_are_said_to(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    txid = ledger.mine(root).carried[0].txid
    moved = {"op": [1], "path": 3, "from": {}}
    patches: tuple[Any, ...] = (7, "{", [[]], [moved], {"add": 5})
    for patch in patches:
        artifact = {"timestamp": 1, "txid": txid, "patch": patch}
        ledger.mine("json:" + json.dumps({"oip042": {"edit": {"artifact": artifact}}}))

    told = list_versions(make_index(ledger), digest_in(root))

    assert [one["says"].split(":")[0] for one in told["old"]] == [
        "cannot be decoded",
        "cannot be decoded",
        "cannot be decoded",
        "[1] nothing from {}",
        "cannot be decoded",
    ]


def test_of_many_old_forms_the_first_are_listed(
    make_index: Make,
    ledger: MemoryLedger,
    author: Author,
) -> None:
    root = author.publish()
    txid = ledger.mine(root).carried[0].txid
    ledger.mine(*(edit_2018(txid, remove=[f"/{n}"]) for n in range(5)))

    told = list_versions(make_index(ledger), digest_in(root), HistoryLimits(old=3))

    assert [one["says"] for one in told["old"]] == [
        "remove /0",
        "remove /1",
        "remove /2",
    ]
    assert told["old_count"] == 5


def test_a_reorganisation_takes_back_what_it_undoes(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    txid = ledger.mine(root).carried[0].txid
    ledger.mine(author.edit(root, 2), edit_2018(txid), author.deactivate(root))
    index = make_index(ledger)

    ledger.reorganise(1)
    follow(index, ledger)
    told = list_versions(index, digest_in(root))

    assert states(told) == [(1, "current")]
    assert (told["old"], told["withdrawn"]) == ([], None)


def test_an_edited_record_carries_the_text_of_its_first_version(
    make_index: Make, ledger: MemoryLedger, author: Author
) -> None:
    root = author.publish()
    edit = author.edit(root, 2)
    other = author.publish(author.artifact({"sid": "other"}))
    ledger.mine(root, other)
    block = ledger.mine(edit)
    index = make_index(ledger)

    edited = queries.get_record(index, digest_in(root))

    assert (edited["text"], edited["root_text"]) == (edit, root)
    assert digest_of("publish", body_in(root)) == edited["id"]
    assert [(v["number"], v["txid"]) for v in edited["versions"]] == [
        (1, edited["txid"]),
        (2, block.carried[0].txid),
    ]
    assert queries.get_record(index, digest_in(other))["root_text"] is None
