"""Plan, publish, publish again: what stands on the ledger afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from etdb.errors import (
    ConflictError,
    InvalidRecordError,
    NotAllowedError,
    UnavailableError,
)
from etdb.identity import CID, RAW
from etdb.index import queries
from etdb.lab.folder import read_dataset
from etdb.publish.plan import PlanState
from etdb.publish.publisher import Outcome, Publisher
from etdb.record.signing import TEST_P2PKH, PrivateKey
from etdb.store.verified import iter_files
from etdb.testing.ledger import MemoryLedger
from etdb.testing.pool import PoolLedger, fail_nth
from etdb.testing.publishing import open_publisher, plan, with_outbox
from etdb.testing.records import Author

Make = Callable[..., Path]


def record_of(publisher: Publisher, record_id: str) -> dict[str, Any]:
    return queries.get_record(publisher.index, record_id)


def test_a_new_dataset_is_planned_without_the_key(
    publisher: Publisher, make_dataset: Make
) -> None:
    found = plan(with_outbox(publisher, key=None), make_dataset("vc-1"))

    assert found.state is PlanState.NEW
    assert found.artifact["details"]["sid"] == "vc-1"
    assert found.parts > 1
    assert found.size_bytes == sum(
        row["fsize"] for row in found.artifact["storage"]["files"]
    )
    assert list(found.cids) == [
        "cell.rec",
        "raw/notes.txt",
        "keyimg_vc-1.jpg",
        "keyimg_vc-1_m.jpg",
        "keyimg_vc-1_s.jpg",
    ]


def test_planning_sends_nothing(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    before = ledger.tip()

    plan(publisher, make_dataset("vc-1"))

    assert ledger.tip() == before
    assert publisher.outbox.journal.list_open() == []


def test_what_is_published_stands_in_the_index(
    publisher: Publisher, make_dataset: Make
) -> None:
    planned = plan(publisher, make_dataset("vc-1"), title="A cell", defocus=0)

    (published,) = publisher.publish([planned])

    record = record_of(publisher, published.id)
    assert (published.outcome, published.sid) == (Outcome.PUBLISHED, "vc-1")
    assert (record["id"], record["txid"]) == (published.id, published.txid)
    assert (record["class"], record["title"]) == ("A", "A cell")
    assert record["publisher"]["address"] == publisher.address
    assert record["cid"] == published.cid == str(planned.cid)
    assert record["details"]["defocus_um"] == 0
    assert record["file_count"] == published.file_count == 5
    assert all(check["holds"] for check in record["checks"])
    assert publisher.outbox.journal.list_open() == []


def test_cost_and_parts_are_as_planned(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    planned = plan(publisher, make_dataset("vc-1"), notes="µ" * 900)

    (published,) = publisher.publish([planned])

    carried = ledger.block(ledger.tip().height).carried
    assert len(carried) == planned.parts == published.parts
    assert sum(len(one.data) for one in carried) == planned.fee_sat


def test_a_short_record_takes_one_transaction(
    publisher: Publisher, tmp_path: Path, ledger: MemoryLedger
) -> None:
    (tmp_path / "n.txt").write_text("x")
    dataset = read_dataset(
        tmp_path / "n.txt",
        options={"species": "S", "date": "2026-03-14", "tags": "", "description": ""},
    )

    (published,) = publisher.publish([publisher.plan(dataset)])

    (carried,) = ledger.block(ledger.tip().height).carried
    assert published.parts == 1
    assert carried.data.startswith(b'json:{"oip042":{"publish":{"artifact":')
    assert record_of(publisher, published.id)["class"] == "A"


def test_the_directory_holds_the_files_under_their_names(
    publisher: Publisher, make_dataset: Make
) -> None:
    planned = plan(publisher, make_dataset("vc-1"))

    publisher.publish([planned])

    found = {
        path: entry.cid for path, entry in iter_files(publisher.store, planned.cid)
    }
    assert found == dict(planned.cids)
    record = queries.find_by_sid(publisher.index, publisher.address, "vc-1")
    assert record is not None
    assert {file["name"]: file["cid"] for file in record["files"]} == {
        name: str(cid) for name, cid in planned.cids.items()
    }
    assert record["key_image"] == {
        "large": "keyimg_vc-1.jpg",
        "medium": "keyimg_vc-1_m.jpg",
        "small": "keyimg_vc-1_s.jpg",
    }


@pytest.mark.parametrize(
    "name", ["two words.txt", 'it\'s "q".txt', "断層-µ.txt", "a..b"]
)
def test_files_of_unusual_names_are_published(
    publisher: Publisher, make_dataset: Make, name: str
) -> None:
    folder = make_dataset("vc-1")
    (folder / name).write_text("x")

    (published,) = publisher.publish([plan(publisher, folder)])

    record = record_of(publisher, published.id)
    assert name in {file["name"] for file in record["files"]}


def test_a_run_is_one_commit_group(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    height = ledger.tip().height
    plans = [plan(publisher, make_dataset(name)) for name in ("a", "b", "c")]

    published = publisher.publish(plans)

    assert [one.sid for one in published] == ["a", "b", "c"]
    assert ledger.tip().height == height + 1


def test_the_same_folder_again_does_nothing(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    folder = make_dataset("vc-1")
    (first,) = publisher.publish([plan(publisher, folder)])
    before = ledger.tip()

    again = plan(publisher, folder)
    (second,) = publisher.publish([again])

    assert again.state is PlanState.UNCHANGED
    assert again.existing is not None
    assert again.existing["id"] == first.id
    assert second == replace(first, outcome=Outcome.PRESENT)
    assert ledger.tip() == before


def test_a_moved_folder_is_unchanged(publisher: Publisher, make_dataset: Make) -> None:
    folder = make_dataset("vc-1")
    publisher.publish([plan(publisher, folder)])
    moved = folder.rename(folder.parent / "elsewhere")

    again = plan(publisher, moved, sid="vc-1")

    assert again.state is PlanState.UNCHANGED


def test_a_changed_dataset_is_published_as_an_edit(
    publisher: Publisher, make_dataset: Make
) -> None:
    folder = make_dataset("vc-1")
    (first,) = publisher.publish([plan(publisher, folder)])
    (folder / "raw" / "notes.txt").write_text("other notes")

    changed = plan(publisher, folder, title="Another title")
    (edited,) = publisher.publish([changed])

    assert changed.state is PlanState.CHANGED
    assert changed.changes == (
        'Title: "Vibrio cholerae" → "Another title"',
        "file raw/notes.txt: other content",
    )
    assert (edited.action, edited.outcome) == ("edit", Outcome.PUBLISHED)
    record = record_of(publisher, first.id)
    assert (record["id"], record["title"]) == (first.id, "Another title")
    assert record["cid"] == edited.cid == str(changed.cid) != first.cid
    assert [version["number"] for version in record["versions"]] == [1, 2]
    assert queries.search(publisher.index, "").total == 1
    assert plan(publisher, folder, title="Another title").state is PlanState.UNCHANGED


def test_files_can_be_changed_back(publisher: Publisher, make_dataset: Make) -> None:
    folder = make_dataset("vc-1")
    old = (folder / "raw" / "notes.txt").read_text()
    for text in ("other notes", old):
        publisher.publish([plan(publisher, folder)])
        (folder / "raw" / "notes.txt").write_text(text)

    assert plan(publisher, folder).state is PlanState.CHANGED


def test_what_changed_after_it_was_shown_is_not_sent(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    folder = make_dataset("vc-1")
    first = plan(publisher, folder)
    publisher.publish([plan(publisher, folder, title="Meanwhile")])
    before = ledger.tip()

    with pytest.raises(ConflictError, match="not any more what was shown"):
        publisher.publish([first])

    assert ledger.tip() == before


def test_the_same_id_under_another_key_is_another_record(
    publisher: Publisher, make_dataset: Make, tmp_path: Path, ledger: MemoryLedger
) -> None:
    folder = make_dataset("vc-1")
    publisher.publish([plan(publisher, folder)])
    other = tmp_path / "other"
    other.mkdir()

    with open_publisher(other, ledger, PrivateKey.from_bytes(b"\x22" * 32)) as second:
        assert plan(second, folder).state is PlanState.NEW


def test_two_datasets_of_one_id_are_refused(
    publisher: Publisher, make_dataset: Make
) -> None:
    plans = [plan(publisher, make_dataset(name), sid="same") for name in ("a", "b")]

    with pytest.raises(ConflictError, match="same id 'same'"):
        publisher.publish(plans)


def test_missing_fields_are_refused_before_anything_is_hashed(
    publisher: Publisher, make_dataset: Make
) -> None:
    folder = make_dataset("vc-1", settings="")

    with pytest.raises(InvalidRecordError, match="--species"):
        plan(publisher, folder)

    assert publisher.store.stats().files == 0


def test_a_file_that_changed_since_the_plan_is_not_published(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    folder = make_dataset("vc-1")
    planned = plan(publisher, folder)
    before = ledger.tip()
    (folder / "raw" / "notes.txt").write_text("changed meanwhile")

    with pytest.raises(ConflictError, match=r"raw/notes\.txt of vc-1 changed since"):
        publisher.publish([planned])

    assert ledger.tip() == before


def test_a_key_of_another_address_publishes_nothing(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    planned = plan(publisher, make_dataset("vc-1"))
    before = ledger.tip()

    with pytest.raises(NotAllowedError, match="not an address of this key"):
        with_outbox(publisher, key=PrivateKey.generate()).publish([planned])

    assert ledger.tip() == before
    assert publisher.outbox.journal.list_open() == []


def test_publishing_without_a_key_is_a_mistake_of_ours(
    publisher: Publisher, make_dataset: Make
) -> None:
    planned = plan(publisher, make_dataset("vc-1"))

    with pytest.raises(RuntimeError, match="without its key"):
        with_outbox(publisher, key=None).publish([planned])


def test_a_test_key_publishes_under_its_test_address(
    node: Path, ledger: MemoryLedger, key: PrivateKey, make_dataset: Make
) -> None:
    address = key.address(TEST_P2PKH)
    with open_publisher(node, ledger, key, address=address) as publisher:
        (published,) = publisher.publish([plan(publisher, make_dataset("vc-1"))])

        record = record_of(publisher, published.id)

    assert record["publisher"]["address"] == address


@pytest.mark.parametrize("name", ["keyimg_vc-1.jpg", "keyimg_vc-1_s.jpg"])
def test_a_lab_s_own_picture_is_kept(
    publisher: Publisher, make_dataset: Make, name: str
) -> None:
    folder = make_dataset("vc-1")
    (folder / name).write_bytes(b"the lab's own")

    planned = plan(publisher, folder)

    assert [one for one in planned.cids if one.startswith("keyimg")] == [name]
    assert planned.cids[name] == CID(1, RAW, sha256(b"the lab's own").digest())


@pytest.mark.parametrize("kept_bytes", [0, 100, 1024])
def test_a_broken_volume_is_published_as_it_is_with_a_warning(
    publisher: Publisher, make_dataset: Make, kept_bytes: int
) -> None:
    folder = make_dataset("vc-1")
    volume = folder / "cell.rec"
    volume.write_bytes(volume.read_bytes()[:kept_bytes])

    planned = plan(publisher, folder)
    (published,) = publisher.publish([planned])

    assert any("cell.rec" in warning for warning in planned.warnings)
    assert list(planned.cids) == ["cell.rec", "raw/notes.txt"]
    assert published.outcome is Outcome.PUBLISHED


def test_a_ledger_that_is_down_is_retried_by_the_next_run(
    publisher: Publisher, make_dataset: Make, ledger: MemoryLedger
) -> None:
    folder = make_dataset("vc-1")
    down = UnavailableError("the ledger is down")
    ledger.effect = fail_nth("send", 1, down, is_applied=False)
    with pytest.raises(UnavailableError):
        publisher.publish([plan(publisher, folder)])

    planned = plan(publisher, folder)
    (published,) = publisher.publish([planned])

    assert planned.state is PlanState.SENT
    assert published.outcome is Outcome.PRESENT
    assert record_of(publisher, published.id)["class"] == "A"
    assert publisher.outbox.journal.list_open() == []


def test_work_begun_on_another_ledger_is_not_finished_here(
    node: Path, key: PrivateKey, make_dataset: Make, tmp_path: Path
) -> None:
    first = PoolLedger()
    with open_publisher(node, first, key) as publisher:
        publisher.publish([plan(publisher, make_dataset("vc-1"))])
        (entry,) = publisher.outbox.journal.list_open()
    other = tmp_path / "other"
    other.mkdir()

    with open_publisher(other, MemoryLedger("another"), key) as publisher:
        publisher.outbox.journal.open([entry])
        with pytest.raises(ConflictError, match="vc-1 was begun on ledger memory"):
            publisher.resume()


def artifacts(publisher: Publisher, *sids: str) -> list[dict[str, Any]]:
    made = []
    for sid in sids:
        artifact = Author().artifact({"sid": sid}, floAddress=publisher.address)
        del artifact["timestamp"]
        made.append(artifact)
    return made


def test_many_artifacts_are_published_in_groups_of_bounded_size(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    by_twos = with_outbox(publisher, max_group_messages=2)
    height = ledger.tip().height
    made = artifacts(publisher, "a", "b", "c", "d", "e")

    done = by_twos.publish_artifacts(made)

    assert [one.sid for one in done] == ["a", "b", "c", "d", "e"]
    assert {one.outcome for one in done} == {Outcome.PUBLISHED}
    assert ledger.tip().height == height + 3
    assert queries.search(publisher.index, "").total == 5
    assert publisher.outbox.journal.list_open() == []


def test_a_group_is_closed_before_it_has_too_many_bytes(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    one_by_one = with_outbox(publisher, max_group_bytes=1)
    height = ledger.tip().height

    one_by_one.publish_artifacts(artifacts(publisher, "a", "b"))

    assert ledger.tip().height == height + 2


def test_artifacts_that_are_there_already_are_left_as_they_are(
    publisher: Publisher, ledger: MemoryLedger
) -> None:
    (first,) = publisher.publish_artifacts(artifacts(publisher, "a"))
    before = ledger.tip().height

    done = publisher.publish_artifacts(artifacts(publisher, "b", "a"))

    assert [one.outcome for one in done] == [Outcome.PUBLISHED, Outcome.PRESENT]
    assert done[1].id == first.id
    assert ledger.tip().height == before + 1
    assert queries.search(publisher.index, "").total == 2


def test_two_artifacts_of_one_id_are_refused(publisher: Publisher) -> None:
    with pytest.raises(ConflictError, match="same sid"):
        publisher.publish_artifacts(artifacts(publisher, "a", "a"))
