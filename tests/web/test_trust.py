from __future__ import annotations

import pytest

from etdb.testing.catalogue import make_edited, make_record
from etdb.web import trust


def _said(record: dict[str, object], mark: str) -> str:
    return " ".join(one.says for one in trust.findings(record) if one.mark == mark)


@pytest.mark.parametrize(
    ("record_class", "is_attested"),
    [("A", True), ("B", True), ("C", True), ("unattested", False), ("?", False)],
)
def test_only_signed_classes_are_attested(record_class: str, is_attested: bool) -> None:
    record = make_record(1, **{"class": record_class})

    assert trust.is_attested(record) is is_attested
    assert trust.findings(record)[0].holds is is_attested


def test_every_class_has_its_own_words() -> None:
    classes = ("A", "B", "C", "unattested", "?")
    said = {trust.verdict(make_record(1, **{"class": name})) for name in classes}

    assert len(said) == len(classes)


def test_a_failed_check_is_said_to_have_failed() -> None:
    check = {"name": "OIP 0.42 signature", "holds": False, "says": "does not match"}

    assert "does not match" in _said(make_record(1, checks=[check]), "failed")


def test_that_an_old_record_lacks_a_content_signature_is_no_failure() -> None:
    check = {"name": "content signature", "holds": False, "says": "there is none"}

    old = make_record(1, checks=[check], **{"class": "C"})
    new = make_record(1, checks=[check], **{"class": "A"})

    assert "there is none" in _said(old, "open")
    assert "there is none" in _said(new, "failed")


def test_what_nobody_verified_is_said() -> None:
    said = _said(make_record(1), "open")

    assert "nobody else vouches" in said
    assert "publisher's word" in said
    assert "oSyntheticLabAddress" in said


def test_a_record_without_an_anchor_stands_nowhere() -> None:
    assert "no ledger" in _said(make_record(1, anchor=None), "failed")


def test_an_unsigned_comment_is_said_to_be_one() -> None:
    anchor = make_record(1)["anchor"]
    said = {
        coverage: _said(make_record(1, anchor={**anchor, "coverage": coverage}), "open")
        for coverage in ("covered", "omitted", "unknown")
    }

    assert "unsigned comment" in said["omitted"]
    assert "rests on the record's signature" in said["omitted"]
    assert "not known whether its signatures" in said["unknown"]
    assert "carried" not in said["covered"]
    del anchor["coverage"]
    assert "comment" not in _said(make_record(1, anchor=anchor), "open")


@pytest.mark.parametrize("record_class", ["A", "B", "C"])
def test_an_edit_is_signed_whatever_the_first_version_was(record_class: str) -> None:
    signer = {"floAddress": "oHeir"}
    record = make_edited(1, 2, artifact=signer, **{"class": record_class})

    assert trust.verdict(record) == "Signed, metadata and files"
    assert "version 3, an edit" in _said(record, "held")
    assert "oHeir" in _said(record, "held")
    assert "Of the first version: " in _said(record, "held")


def test_an_edit_does_not_attest_a_first_version_that_is_not() -> None:
    record = make_edited(1, 2, **{"class": "unattested"})

    assert trust.verdict(record) == "Not attested"
    assert "Of the first version: " in _said(record, "failed")


def test_what_an_old_signature_leaves_out_is_said() -> None:
    record = make_record(1, **{"class": "C"})

    assert "but not the metadata" in _said(record, "held")
    assert "is not proved" in _said(record, "held")
