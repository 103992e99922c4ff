"""What holds of a record, and of a downloaded folder, offline."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etdb.client.record import check_record, dataset_of
from etdb.client.sources import StoreSource
from etdb.client.verify import FileState, check_folder, check_remote
from etdb.errors import InvalidRecordError, InvalidSignatureError, NotAllowedError
from etdb.record.canonical import digest_of, parse_message_text
from etdb.record.oip042 import read_envelope, wrap_publish
from etdb.store.unixfs import KUBO_NOCOPY_V0, parse_node
from etdb.testing.gateway import Fault

MIB = 1 << 20


@pytest.fixture
def got(getter: Any) -> Any:
    """A complete download; its source is gone."""
    getter.get(StoreSource(getter.dataset.store))
    return getter


def states(getter: Any) -> dict[str, FileState]:
    return {file.name: file.state for file in check_folder(getter.folder).files}


def failing(record: dict[str, Any]) -> list[str]:
    return [check.name for check in check_record(record) if not check.holds]


def retold(record: dict[str, Any], **info: str) -> dict[str, Any]:
    """The record with other words under the old signatures, made to look whole."""
    body = read_envelope(parse_message_text(record["text"])).body
    body["info"] = {**body["info"], **info}
    return {
        **record,
        "id": digest_of("publish", body),
        "artifact": body,
        "text": wrap_publish(body),
    }


def test_a_complete_download_holds(got: Any) -> None:
    report = check_folder(got.folder)

    assert report.holds
    assert [check.name for check in report.checks if check.holds] == [
        "record id",
        "text",
        "fields",
        "content signature",
        "OIP 0.42 signature",
    ]
    assert {file.state for file in report.files} == {FileState.OK}


def test_each_file_s_state_is_told(got: Any) -> None:
    changed = got.folder / "rec/vol.rec"
    data = bytearray(changed.read_bytes())
    data[-1] ^= 1
    changed.write_bytes(data)
    (got.folder / "notes.txt").unlink()
    (got.folder / "mine.txt").write_text("mine")
    (got.folder / "link").symlink_to("mine.txt")

    report = check_folder(got.folder)

    assert not report.holds
    assert {file.name: file.state for file in report.files} == {
        "empty.dat": FileState.OK,
        "link": FileState.EXTRA,
        "mine.txt": FileState.EXTRA,
        "notes.txt": FileState.MISSING,
        "raw/ts 1.st": FileState.OK,
        "rec/vol.rec": FileState.CHANGED,
    }


def test_files_never_asked_for_are_not_missing(getter: Any) -> None:
    getter.get(StoreSource(getter.dataset.store), include=("*.rec",))

    assert check_folder(getter.folder).holds
    assert states(getter)["raw/ts 1.st"] is FileState.LEFT_OUT


def test_files_asked_for_later_count_too(getter: Any) -> None:
    getter.get(StoreSource(getter.dataset.store), include=("*.rec",))
    getter.get(StoreSource(getter.dataset.store), include=("*.txt",))
    (getter.folder / "rec/vol.rec").unlink()

    assert states(getter)["rec/vol.rec"] is FileState.MISSING
    assert states(getter)["notes.txt"] is FileState.OK


def test_a_link_in_place_of_a_file_is_a_change(got: Any, tmp_path: Any) -> None:
    original = tmp_path / "original"
    (got.folder / "notes.txt").rename(original)
    (got.folder / "notes.txt").symlink_to(original)

    assert states(got)["notes.txt"] is FileState.CHANGED


def test_a_damaged_tree_proves_nothing_and_is_mended(got: Any) -> None:
    block = got.folder / ".etdb/dag" / str(got.dataset.cid("rec/vol.rec"))
    block.write_bytes(b"x" + block.read_bytes()[1:])
    before = states(got)["rec/vol.rec"]

    got.get(StoreSource(got.dataset.store))

    assert before is FileState.UNPROVEN
    assert check_folder(got.folder).holds


def test_a_lost_inner_block_proves_nothing(getter: Any, make_dataset: Any) -> None:
    deep = getter.of(make_dataset({"vol.rec": bytes(300_000) * 180}, KUBO_NOCOPY_V0))
    deep.get(StoreSource(deep.dataset.store))
    root = parse_node(deep.dataset.store.get_block(deep.dataset.cid("vol.rec")))
    (deep.folder / ".etdb/dag" / str(root.links[-1].cid.to_v1())).unlink()

    assert states(deep) == {"vol.rec": FileState.UNPROVEN}


def test_a_changed_record_file_does_not_hold(got: Any) -> None:
    path = got.folder / ".etdb/record.json"
    kept = json.loads(path.read_text())
    kept["record"]["text"] = kept["record"]["text"].replace("Synthetic", "Genuine")
    path.write_text(json.dumps(kept))

    report = check_folder(got.folder)

    assert not report.holds
    assert report.files == ()


def test_other_words_under_the_same_signatures_are_refused(dataset: Any) -> None:
    record = retold(dataset.record, title="Genuine")

    assert failing(record) == ["content signature"]
    with pytest.raises(InvalidSignatureError, match="content signature"):
        dataset_of(record)


def test_the_old_signature_alone_would_let_them_pass(dataset: Any) -> None:
    record = retold(dataset.record, title="Genuine")
    body = record["artifact"]
    del body["details"]["contentSignature"]
    old = {**record, "id": digest_of("publish", body), "text": wrap_publish(body)}

    assert failing(old) == ["content signature"]
    assert dataset_of(old) == dataset.root


def test_a_record_under_another_id_is_refused(dataset: Any) -> None:
    record = {**dataset.record, "id": "00" * 32}

    assert failing(record) == ["record id"]
    with pytest.raises(InvalidSignatureError, match="record id"):
        dataset_of(record)


def test_fields_other_than_the_text_s_are_refused(dataset: Any) -> None:
    artifact = {**dataset.record["artifact"], "info": {"title": "Genuine"}}

    assert failing({**dataset.record, "artifact": artifact}) == ["fields"]


def test_a_record_of_the_original_publisher_is_believed_as_far_as_it_goes(
    dataset: Any, author: Any
) -> None:
    artifact = author.artifact(storage={"location": str(dataset.root), "files": []})
    text = author.publish_old(artifact)
    body = read_envelope(parse_message_text(text)).body
    record = {"id": digest_of("publish", body), "text": text}

    assert failing(record) == ["content signature"]
    assert dataset_of(record) == dataset.root


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"id": 5, "text": 7},
        {"id": "x", "text": "json:{"},
    ],
)
def test_a_record_that_is_none_never_holds(record: dict[str, Any]) -> None:
    assert failing(record) == ["record id"]
    with pytest.raises(InvalidSignatureError):
        dataset_of(record)


def test_a_withdrawn_record_is_neither_fetched_nor_verified(getter: Any) -> None:
    withdrawn = {"by": "oA", "time": 1_773_600_000, "reason": "wrong pixel size"}
    record = {**getter.dataset.record, "withdrawn": withdrawn}

    with getter.serving() as (_, source):
        with pytest.raises(NotAllowedError, match="withdrawn by oA on 2026-03-15"):
            check_remote(record, source)
        with pytest.raises(NotAllowedError) as caught:
            dataset_of(record)

    assert "wrong pixel size" in caught.value.hint


def test_a_record_without_files_is_said_to_be(author: Any) -> None:
    text = author.publish_old({**author.artifact(), "storage": {}})
    body = read_envelope(parse_message_text(text)).body

    with pytest.raises(InvalidRecordError, match="names no files"):
        dataset_of({"id": digest_of("publish", body), "text": text})


def test_a_record_is_verified_where_it_is_served(getter: Any) -> None:
    names = getter.dataset.files
    lie = Fault("lie", on=str(getter.dataset.cid("rec/vol.rec")), at=2 * MIB)
    with getter.serving() as (_, source):
        right = check_remote(getter.dataset.record, source)
    with getter.serving(lie) as (_, source):
        wrong = check_remote(getter.dataset.record, source)

    assert right.holds
    assert {file.name for file in right.files} == set(names)
    assert not wrong.holds
    assert [f.name for f in wrong.files if f.state is FileState.CHANGED] == [
        "rec/vol.rec"
    ]
    assert not getter.folder.exists()


@pytest.mark.parametrize(
    ("status", "state"), [(404, FileState.MISSING), (500, FileState.UNPROVEN)]
)
def test_a_file_that_is_not_served_is_said_not_to_be(
    getter: Any, status: int, state: FileState
) -> None:
    fault = Fault("status", on=str(getter.dataset.cid("rec/vol.rec")), at=status)

    with getter.serving(fault) as (_, source):
        report = check_remote(getter.dataset.record, source)

    assert {f.name: f.state for f in report.files}["rec/vol.rec"] is state


def test_files_of_a_record_that_does_not_hold_are_not_looked_at(dataset: Any) -> None:
    record = {**dataset.record, "id": "00" * 32}

    report = check_remote(record, StoreSource(dataset.store))

    assert not report.holds
    assert report.files == ()
