"""The kind of a text is decided by its first characters."""

from __future__ import annotations

import pytest

from etdb.record.message import Kind, kind_of


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("json:{}", Kind.JSON),
        ("json:", Kind.JSON),
        ("oip-mp(0,1,", Kind.PART),
        ("alexandria-media-multipart(0", Kind.PART),
        ("etdb-chain:1:", Kind.CHAIN),
        ("etdb:1:block:", Kind.CHAIN),
        ("", Kind.FOREIGN),
        (" json:{}", Kind.FOREIGN),
        ("JSON:{}", Kind.FOREIGN),
        ("oip-mp", Kind.FOREIGN),
        ("text:Florincoin genesis block", Kind.FOREIGN),
        ("p64:CgA=", Kind.FOREIGN),
        ("etdb:1:publish:00", Kind.FOREIGN),
    ],
)
def test_a_text_is_of_the_kind_it_begins_with(text: str, kind: Kind) -> None:
    assert kind_of(text) is kind
