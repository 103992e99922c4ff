"""What the texts of an edited record prove, and whom they do not convince."""

from __future__ import annotations

from typing import Any

import pytest

from etdb.client.download import download, plan
from etdb.client.record import check_record, dataset_of, find_failed, version_of
from etdb.client.sources import StoreSource
from etdb.client.verify import check_folder, check_remote
from etdb.errors import ConflictError, InvalidSignatureError
from etdb.identity import Txid
from etdb.record.canonical import digest_of
from etdb.record.edits import wrap_edit
from etdb.record.oip042 import wrap_publish
from etdb.record.signing import sign_body
from etdb.testing.records import Author, body_in, digest_in

SIGNATURES = ["text", "content signature", "OIP 0.42 signature"]


def edited(root: str, edit: str, **changes: Any) -> dict[str, Any]:
    """A record as a node gives it once it was edited."""
    return {
        "id": digest_in(root),
        "text": edit,
        "root_text": root,
        "artifact": body_in(edit),
        **changes,
    }


def failing(record: dict[str, Any]) -> list[str]:
    checks = check_record(record)
    failed = find_failed(record, checks)
    assert (failed is None) == all(check.holds for check in checks)
    return [check.name for check in checks if not check.holds]


def signatures_hold(record: dict[str, Any]) -> bool:
    """The twin: but for who may say what, all is as it should be."""
    held = [check.name for check in check_record(record) if check.holds]
    return all(name in held for name in SIGNATURES)


def says(record: dict[str, Any], name: str) -> str:
    (found,) = [check for check in check_record(record) if check.name == name]
    return found.says


def test_an_edit_by_the_publisher_is_believed(author: Any) -> None:
    root = author.publish()
    record = edited(root, author.edit(root, 2, strain="a"))

    assert failing(record) == []
    assert str(dataset_of(record)) == body_in(root)["storage"]["location"]
    assert says(record, "history").startswith(f"version 2, by {author.address}")
    assert version_of(record) == 2


def test_versions_that_were_not_seen_are_said(author: Any) -> None:
    root = author.publish()
    second = author.edit(root, 2)
    record = edited(root, author.edit(root, 3, second, strain="a"))

    assert failing(record) == []
    assert "1 between it and the first not seen" in says(record, "history")


def test_an_edit_by_an_heir_of_the_first_version_is_believed(author: Any) -> None:
    heir = Author(2)
    root = author.publish(author.artifact({"heirs": [heir.address]}))

    assert failing(edited(root, heir.edit(root, 2))) == []


def test_an_heir_that_only_the_edit_names_is_not(author: Any) -> None:
    heir = Author(2)
    root = author.publish()
    record = edited(root, heir.edit(root, 2, heirs=[heir.address]))

    assert failing(record) == ["history"]
    assert signatures_hold(record)
    with pytest.raises(InvalidSignatureError, match="may not edit"):
        dataset_of(record)


def test_an_edit_by_a_stranger_is_not_believed(author: Any) -> None:
    root = author.publish()
    record = edited(root, Author(9).edit(root, 2))

    assert failing(record) == ["history"]
    assert signatures_hold(record)


def test_an_edit_of_another_record_is_not_believed(author: Any) -> None:
    root = author.publish()
    other = author.publish(author.artifact({"sid": "other"}))
    record = edited(root, author.edit(other, 2))

    assert failing(record) == ["history"]
    assert signatures_hold(record)
    assert digest_in(other) in says(record, "history")


def test_the_first_version_of_another_record_is_not_believed(author: Any) -> None:
    root = author.publish()
    other = author.publish(author.artifact({"sid": "other"}))
    record = edited(root, author.edit(other, 2), root_text=other)

    assert failing(record) == ["record id"]
    assert failing({**record, "id": digest_in(other)}) == []


def test_heirs_that_nobody_signed_are_not_believed(author: Any) -> None:
    """Whoever invents a first version can name himself its heir."""
    thief = Author(9)
    body = author.artifact({"heirs": [thief.address]})
    forged = {**author.sign_old("publish", body)}
    forged["details"] = {**body["details"], "contentSignature": "A" * 88}
    root = wrap_publish(forged)
    stripped = wrap_publish(author.sign_old("publish", body))

    for text in (root, stripped):
        record = edited(text, thief.edit(text, 2))
        assert failing(record) == (["record id"] if text is root else ["history"])
        assert signatures_hold(record)
    signed = author.publish(body)
    assert failing(edited(signed, thief.edit(signed, 2))) == []


def test_an_edit_of_an_old_record_by_its_address_is_believed(author: Any) -> None:
    root = author.publish_old()

    assert failing(edited(root, author.edit(root, 2))) == []


@pytest.mark.parametrize(("number", "follows_root"), [(3, True), (2, False)])
def test_a_number_that_does_not_follow_is_not_believed(
    author: Any, number: int, follows_root: bool
) -> None:
    root = author.publish()
    previous = root if follows_root else author.edit(root, 2, strain="b")
    record = edited(root, author.edit(root, number, previous))

    assert failing(record) == ["history"]
    assert signatures_hold(record)


def test_an_edit_without_its_content_signature_is_not_believed(author: Any) -> None:
    root = author.publish()
    body = body_in(author.edit(root, 2))
    del body["details"]["contentSignature"]
    edit = wrap_edit(body, Txid("ab" * 32), author.key)
    record = edited(root, edit)
    checks = {check.name: check.holds for check in check_record(record)}

    assert checks["OIP 0.42 signature"]
    assert not checks["history"]
    with pytest.raises(InvalidSignatureError, match="history"):
        dataset_of(record)


@pytest.mark.parametrize("root_text", [None, 7, "", "json:{", "edit"])
def test_without_its_first_version_an_edit_is_not_believed(
    author: Any, root_text: object
) -> None:
    root = author.publish()
    edit = author.edit(root, 2)
    given = edit if root_text == "edit" else root_text

    assert failing(edited(root, edit, root_text=given)) == ["record id"]


def test_other_words_under_the_signatures_of_an_edit_are_refused(author: Any) -> None:
    root = author.publish()
    body = body_in(author.edit(root, 2))
    body["info"]["title"] = "Genuine"
    edit = wrap_edit(body, Txid("ab" * 32), author.key)

    assert failing(edited(root, edit)) == ["history", "content signature"]


def test_an_edit_may_name_other_files_and_they_are_got(
    dataset: Any, make_dataset: Any, author: Any, tmp_path: Any
) -> None:
    root = author.publish(author.artifact(storage=located(dataset.root)))
    other = make_dataset({"notes.txt": b"Other.\n", "more.txt": b"More.\n"})
    record = edited(root, edit_files(author, root, other.root))
    folder = tmp_path / "got"

    source = StoreSource(other.store)
    results = download(plan(record, [source], folder), [source]).files

    assert [result.state for result in results] == ["done", "done"]
    report = check_folder(folder)
    assert report.holds
    assert "history" in [check.name for check in report.checks]
    assert report.record["root_text"] == root
    assert check_remote(record, source).holds


def test_a_folder_is_not_taken_back_to_an_older_version(
    dataset: Any, make_dataset: Any, author: Any, tmp_path: Any
) -> None:
    other = make_dataset({"notes.txt": b"Other.\n"})
    root = author.publish(author.artifact(storage=located(other.root)))
    older = {"id": digest_in(root), "text": root}
    newer = edited(root, edit_files(author, root, other.root))
    source = StoreSource(other.store)
    download(plan(older, [source], tmp_path), [source])
    download(plan(newer, [source], tmp_path), [source])

    with pytest.raises(ConflictError, match="holds version 2 of the record, not 1"):
        plan(older, [source], tmp_path)

    assert check_folder(tmp_path).record["text"] == newer["text"]
    assert digest_of("publish", body_in(root)) == older["id"]


def located(root: object) -> dict[str, Any]:
    return {"network": "ipfs", "location": str(root), "files": []}


def edit_files(author: Any, root: str, location: object) -> str:
    """An edit that names another directory of files."""
    revision = {"of": digest_in(root), "number": 2, "previous": digest_in(root)}
    body = author.artifact({"revision": revision}, storage=located(location))
    return wrap_edit(sign_body("edit", body, author.key), Txid("ab" * 32), author.key)
