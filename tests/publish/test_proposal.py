"""Edits, withdrawals and registrations: what they say, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import (
    ConflictError,
    EtdbError,
    InvalidDataError,
    InvalidRecordError,
    NotAllowedError,
    NotFoundError,
)
from etdb.index import queries
from etdb.index.follow import follow
from etdb.index.register import find_signed_body
from etdb.lab.folder import read_dataset
from etdb.publish.plan import PlanState
from etdb.publish.publisher import Outcome, Published, Publisher
from etdb.publish.revision import Changes
from etdb.record.canonical import parse_message_text
from etdb.record.edits import replacement_of
from etdb.record.oip042 import read_envelope
from etdb.record.signing import PrivateKey
from etdb.testing.ledger import MemoryLedger
from etdb.testing.publishing import open_publisher, with_outbox
from etdb.testing.records import Author

Make = Callable[..., Path]
LABELS = {"species": "Vibrio cholerae", "strain": "O395", "emdb": "EMD-1234"}

STRANGER = Author(7, 35)


@pytest.fixture
def published(publisher: Publisher, make_dataset: Make) -> Published:
    """A dataset with a few more fields, on the ledger."""
    options = LABELS | {"reconstruction": "IMOD", "taxid": 666}
    dataset = read_dataset(make_dataset("vc-1"), options=options)
    (done,) = publisher.publish([publisher.plan(dataset)])
    return done


def details(publisher: Publisher, record_id: str) -> dict[str, Any]:
    details: dict[str, Any] = queries.get_record(publisher.index, record_id)["details"]
    return details


def edit(publisher: Publisher, record_id: str, **changes: object) -> Published:
    return publisher.send(publisher.plan_edit(record_id, changes))


def test_an_edit_changes_what_was_named_and_nothing_else(
    publisher: Publisher, published: Published
) -> None:
    before = queries.get_record(publisher.index, published.id)
    changes: Changes = {"strain": "PAO1", "emdb": None, "defocus": "-6"}

    proposal = publisher.plan_edit(published.id, changes)
    done = publisher.send(proposal)

    after = queries.get_record(publisher.index, published.id)
    assert set(proposal.changes) == {
        'Strain: "O395" → "PAO1"',
        "Defocus: added",
        "EMDB entry: removed",
    }
    assert (done.action, done.id, done.outcome) == (
        "edit",
        published.id,
        Outcome.PUBLISHED,
    )
    assert after["details"] == {
        name: value for name, value in before["details"].items() if name != "emdb"
    } | {"strain": "PAO1", "defocus_um": -6.0}
    assert (after["cid"], after["files"]) == (before["cid"], before["files"])
    assert all(check["holds"] for check in after["checks"])
    assert publisher.outbox.journal.list_open() == []


def test_planning_signs_and_sends_nothing(
    publisher: Publisher, published: Published, ledger: MemoryLedger
) -> None:
    before = ledger.tip()
    keyless = with_outbox(publisher, key=None)

    keyless.plan_edit(published.id, {"strain": "PAO1"})
    keyless.plan_withdrawal(published.id, "wrong")
    keyless.plan_register("A lab")

    assert ledger.tip() == before
    assert publisher.outbox.journal.list_open() == []


def test_edits_follow_each_other(publisher: Publisher, published: Published) -> None:
    for strain in ("a", "b", "c"):
        edit(publisher, published.id, strain=strain)

    record = queries.get_record(publisher.index, published.id)
    assert record["details"]["strain"] == "c"
    assert [version["number"] for version in record["versions"]] == [1, 2, 3, 4]
    times = [version["timestamp"] for version in record["versions"]]
    assert times == sorted(set(times)), "each is later than the one before"


def test_an_edit_is_one_that_readers_of_2019_can_apply(
    publisher: Publisher, published: Published
) -> None:
    edit(publisher, published.id, strain="PAO1")

    record = queries.get_record(publisher.index, published.id)
    body = read_envelope(parse_message_text(record["text"])).body
    assert body["txid"] == published.txid
    assert replacement_of(body) == record["artifact"]


def test_files_name_the_software_that_the_record_names(
    publisher: Publisher, published: Published
) -> None:
    edit(publisher, published.id, reconstruction="AreTomo")

    record = queries.get_record(publisher.index, published.id)
    made = {file["name"]: file["software"] for file in record["files"]}
    assert made["cell.rec"] == "AreTomo"
    assert made["raw/notes.txt"] is None


def test_publishing_the_same_folder_again_takes_no_edit_back(
    publisher: Publisher, published: Published, make_dataset: Make, tmp_path: Path
) -> None:
    edit(publisher, published.id, strain="PAO1")
    options = LABELS | {"reconstruction": "IMOD", "taxid": 666}
    folder = tmp_path / "data" / "vc-1"

    again = publisher.plan(read_dataset(folder, options=options))
    changed = publisher.plan(read_dataset(folder, options=options | {"dose": 100}))

    assert again.state is PlanState.UNCHANGED
    assert publisher.publish([again])[0].outcome is Outcome.PRESENT
    assert changed.state is PlanState.CHANGED
    assert 'Strain: "PAO1" → "O395"' in changed.changes


def test_a_lab_that_names_heirs_later_edits_no_older_record(
    publisher: Publisher, published: Published, tmp_path: Path
) -> None:
    options = LABELS | {"reconstruction": "IMOD", "taxid": 666}
    dataset = read_dataset(
        tmp_path / "data" / "vc-1",
        options=options,
        defaults={"heirs": STRANGER.address},
    )

    assert publisher.plan(dataset).state is PlanState.UNCHANGED


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strian": "x"}, "nearest known one is 'strain'"),
        ({"publisher": "x"}, "unknown key"),
        ({"cid": "x"}, "unknown key"),
        ({"defocus": "deep"}, "is not a number"),
        ({"date": "yesterday"}, "is not a date"),
        ({"sid": "other"}, "sid cannot be changed"),
        ({"heirs": STRANGER.address}, "heirs cannot be changed"),
        ({"heirs": None}, "heirs cannot be changed"),
        ({"species": None}, "cannot be without species"),
        ({"title": ""}, "cannot be without title"),
    ],
)
def test_what_cannot_be_edited_is_refused(
    publisher: Publisher, published: Published, changes: Changes, message: str
) -> None:
    with pytest.raises(InvalidDataError, match=message):
        publisher.plan_edit(published.id, changes)


@pytest.mark.parametrize("changes", [{"strain": "O395"}, {"microscope": None}])
def test_an_edit_that_changes_nothing_is_refused(
    publisher: Publisher, published: Published, changes: Changes
) -> None:
    with pytest.raises(ConflictError, match="nothing would change"):
        publisher.plan_edit(published.id, changes)


def test_an_unknown_record_is_not_found(publisher: Publisher) -> None:
    with pytest.raises(NotFoundError):
        publisher.plan_edit("abcdef", {"strain": "x"})


def test_a_record_that_changed_since_it_was_shown_is_not_edited(
    publisher: Publisher, published: Published, ledger: MemoryLedger
) -> None:
    first = publisher.plan_edit(published.id, {"strain": "a"})
    edit(publisher, published.id, strain="b")
    before = ledger.tip()

    with pytest.raises(ConflictError, match="not any more what was shown"):
        publisher.send(first)

    assert ledger.tip() == before


def other_record(
    publisher: Publisher, ledger: MemoryLedger, text: Callable[[Author], str]
) -> str:
    """The id of a record that somebody else publishes."""
    ledger.mine(text(STRANGER))
    follow(publisher.index, ledger)
    (found,) = queries.search(publisher.index, "").results
    return str(found["id"])


def test_a_record_of_somebody_else_is_not_ours_to_speak_about(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    record_id = other_record(publisher, ledger, Author.publish)

    with pytest.raises(NotAllowedError, match="was published by"):
        publisher.plan_edit(record_id, {"strain": "x"})
    with pytest.raises(NotAllowedError, match="was published by"):
        publisher.plan_withdrawal(record_id, "not mine")


def named_heir(heir: str) -> Callable[[Author], str]:
    return lambda author: author.publish(author.artifact({"heirs": [heir]}))


def test_an_heir_may_edit_and_withdraw(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    named = named_heir(publisher.address)
    record_id = other_record(publisher, ledger, named)

    edit(publisher, record_id, strain="edited by an heir")
    record = queries.get_record(publisher.index, record_id)
    assert record["details"]["strain"] == "edited by an heir"
    assert record["artifact"]["details"]["heirs"] == [publisher.address]
    assert record["publisher"]["address"] == STRANGER.address

    publisher.send(publisher.plan_withdrawal(record_id, "in their place"))
    withdrawn = queries.get_record(publisher.index, record_id)["withdrawn"]
    assert withdrawn["by"] == publisher.address


def test_who_is_named_an_heir_by_a_later_version_is_none(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    root = STRANGER.publish()
    ledger.mine(root, STRANGER.edit(root, 2, heirs=[publisher.address]))
    follow(publisher.index, ledger)
    (found,) = queries.search(publisher.index, "").results

    with pytest.raises(NotAllowedError):
        publisher.plan_edit(found["id"], {"strain": "x"})


@pytest.mark.parametrize("heirs", [{}, "o", [1], [["x"]], None])
def test_heirs_of_any_shape_are_only_not_us(
    publisher: Publisher, ledger: MemoryLedger, heirs: object
) -> None:
    record_id = other_record(
        publisher,
        ledger,
        lambda author: author.publish(author.artifact({"heirs": heirs})),
    )

    with pytest.raises(NotAllowedError):
        publisher.plan_withdrawal(record_id, "x")


@pytest.mark.parametrize(
    "members",
    [
        {"info": []},
        {"storage": {"files": {}}},
        {"storage": {"files": [1]}},
        {"storage": []},
    ],
)
def test_a_record_of_another_build_is_not_edited_by_fields(
    publisher: Publisher, ledger: MemoryLedger, members: dict[str, Any]
) -> None:
    details = {"heirs": [publisher.address]}
    ledger.mine(STRANGER.publish(STRANGER.artifact(details) | members))
    follow(publisher.index, ledger)
    (found,) = queries.search(publisher.index, "").results

    with pytest.raises(InvalidDataError, match="not built as ours are"):
        publisher.plan_edit(found["id"], {"strain": "x"})


def test_an_old_record_whose_signature_covers_little_is_not_edited(
    node: Path, ledger: MemoryLedger
) -> None:
    author = Author()
    with open_publisher(node, ledger, author.key, address=author.address) as publisher:
        ledger.mine(author.publish_old())
        follow(publisher.index, ledger)
        (found,) = queries.search(publisher.index, "").results

        with pytest.raises(InvalidDataError, match="of class C"):
            publisher.plan_edit(found["id"], {"strain": "x"})


def test_an_old_record_of_ours_that_came_in_signed_parts_can_be_edited(
    node: Path, ledger: MemoryLedger
) -> None:
    author = Author()
    text = author.publish_old(author.artifact({"artNotes": "n" * 1200, "NBCItaxID": 1}))
    with open_publisher(node, ledger, author.key, address=author.address) as publisher:
        first = ledger.compose(author.part_texts(text)[0].encode())
        rest = author.part_texts(text, first.txid)[1:]
        ledger.send([first, *(ledger.compose(part.encode()) for part in rest)])
        follow(publisher.index, ledger)
        (found,) = queries.search(publisher.index, "").results
        assert found["class"] == "B"

        edit(publisher, found["id"], taxid=666)

        record = queries.get_record(publisher.index, found["id"])
        assert record["details"]["taxonomy_id"] == 666
        assert [
            key
            for key in record["artifact"]["details"]
            if "TaxID" in key or "taxID" in key
        ] == ["NCBItaxID"]


def test_a_withdrawal_takes_the_record_back_for_good(
    publisher: Publisher, published: Published
) -> None:
    proposal = publisher.plan_withdrawal(published.id[:8], " wrong sample ")
    done = publisher.send(proposal)

    record = queries.get_record(publisher.index, published.id)
    assert proposal.changes == ("withdrawn for good: wrong sample",)
    assert (done.action, done.id) == ("deactivate", published.id)
    assert record["withdrawn"]["reason"] == "wrong sample"
    assert record["withdrawn"]["by"] == publisher.address
    assert queries.search(publisher.index, "").total == 0


def test_what_is_withdrawn_is_neither_edited_nor_withdrawn_again(
    publisher: Publisher, published: Published
) -> None:
    publisher.send(publisher.plan_withdrawal(published.id, "wrong"))

    with pytest.raises(ConflictError, match="withdrawn, which is for good"):
        publisher.plan_edit(published.id, {"strain": "x"})
    with pytest.raises(ConflictError, match="withdrawn, which is for good"):
        publisher.plan_withdrawal(published.id, "again")


def test_what_was_withdrawn_since_it_was_shown_is_not_edited(
    publisher: Publisher, published: Published
) -> None:
    shown = publisher.plan_edit(published.id, {"strain": "x"})
    publisher.send(publisher.plan_withdrawal(published.id, "wrong"))

    with pytest.raises(ConflictError, match="not any more what was shown"):
        publisher.send(shown)


def test_a_withdrawal_without_a_reason_is_refused(
    publisher: Publisher, published: Published
) -> None:
    with pytest.raises(InvalidDataError, match="without a reason"):
        publisher.plan_withdrawal(published.id, "  ")


def test_a_withdrawn_dataset_can_be_published_anew(
    publisher: Publisher, published: Published, tmp_path: Path
) -> None:
    publisher.send(publisher.plan_withdrawal(published.id, "wrong sample"))
    dataset = read_dataset(tmp_path / "data" / "vc-1", options=LABELS)

    (again,) = publisher.publish([publisher.plan(dataset)])

    assert again.action == "publish"
    assert again.id != published.id
    assert queries.search(publisher.index, "").total == 1


def test_a_registration_names_the_publisher(
    publisher: Publisher, published: Published
) -> None:
    proposal = publisher.plan_register(
        "A lab", "https://lab.example.org", ["https://a.example.org"]
    )
    done = publisher.send(proposal)

    record = queries.get_record(publisher.index, published.id)
    assert record["publisher"]["name"] == "A lab"
    assert proposal.changes == (
        "name: none → A lab",
        "url: none → https://lab.example.org",
        "gateways: none → https://a.example.org",
    )
    assert (done.action, done.outcome) == ("register", Outcome.PUBLISHED)
    assert publisher.outbox.journal.list_open() == []


def test_what_is_not_said_stays_registered_and_empty_takes_away(
    publisher: Publisher,
) -> None:
    url, gateway = "https://lab.example.org", "https://a.example.org"
    publisher.send(publisher.plan_register("A lab", url, [gateway, gateway]))
    publisher.send(publisher.plan_register("Another name"))

    kept = find_signed_body(publisher.index, publisher.address)
    publisher.send(publisher.plan_register("Another name", "", [""]))
    bare = find_signed_body(publisher.index, publisher.address)

    assert kept is not None
    assert bare is not None
    assert kept["info"] == {"url": url, "gateways": [gateway]}
    assert "info" not in bare
    assert bare["timestamp"] > kept["timestamp"]


def test_registering_the_same_again_is_refused(publisher: Publisher) -> None:
    publisher.send(publisher.plan_register("A lab"))

    with pytest.raises(ConflictError, match="nothing would change"):
        publisher.plan_register("A lab")


@pytest.mark.parametrize(
    "alias",
    [
        "",
        "deactivate",
        "ab" * 32,
        "AB" * 32,
        "QmfJxwEBCbfe5SRQpP1T1jaJrCLMuBSwP8FgpeV54rsPLx",
        " A lab",
        "A lab\nanother line",
        "A \x1b[2Jlab",
        "x" * 101,
    ],
)
def test_an_alias_that_could_pass_as_something_else_is_refused(
    publisher: Publisher, alias: str
) -> None:
    with pytest.raises(InvalidDataError):
        publisher.plan_register(alias)


@pytest.mark.parametrize(
    "url",
    [
        "http://lab.example.org",
        "lab.example.org",
        "https://",
        "https://[::1",
        "https://lab.example.org/\n",
        "https://lab.example.org/a b",
        "https://lab.example.org:99999",
        "javascript:alert(1)",
        "https://127.0.0.1/",
        "https://192.168.1.20:8443",
        "https://[::1]/",
        "https://localhost:8000",
        "https://microscope.local",
        "https://" + "a" * 200,
    ],
)
def test_what_is_no_https_url_is_not_registered(publisher: Publisher, url: str) -> None:
    with pytest.raises(InvalidDataError, match="not an https URL"):
        publisher.plan_register("A lab", url)
    with pytest.raises(InvalidDataError, match="not an https URL"):
        publisher.plan_register("A lab", None, [url])


def test_too_many_gateways_are_refused(publisher: Publisher) -> None:
    urls = [f"https://{number}.example.org" for number in range(11)]

    with pytest.raises(InvalidDataError, match="at most 10"):
        publisher.plan_register("A lab", None, urls)


def test_a_key_of_another_address_sends_nothing(
    publisher: Publisher, published: Published, ledger: MemoryLedger
) -> None:
    before = ledger.tip()
    proposal = publisher.plan_withdrawal(published.id, "x")

    with pytest.raises(EtdbError):
        with_outbox(publisher, key=PrivateKey.generate()).send(proposal)

    assert ledger.tip() == before


def test_a_field_that_no_record_can_do_without_is_named(
    publisher: Publisher, published: Published
) -> None:
    with pytest.raises(InvalidRecordError) as caught:
        publisher.plan_edit(published.id, {"date": None})

    assert caught.value.facts["field"] == "date"
