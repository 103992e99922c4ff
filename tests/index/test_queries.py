from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from etdb.errors import ConflictError, InvalidDataError, NotFoundError
from etdb.identity import Txid
from etdb.index import queries
from etdb.index.db import Index
from etdb.index.follow import follow
from etdb.ledger.base import SignedTransaction, Tip
from etdb.record.message import LedgerKind
from etdb.testing.ledger import MemoryLedger
from etdb.testing.records import DIRECTORY, SIGNED_AT, Author, digest_in

Make = Callable[..., Index]

RAW_CID = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

LAB: dict[str, dict[str, Any]] = {
    "cholera": {
        "speciesName": "Vibrio cholerae",
        "strain": "O395-N1",
        "date": 1441756800,
        "tiltMin": -60,
        "dosage": 180,
        "microscopist": "Zoë Ångström",
        "swAquisition": "UCSF Tomo",
        "artNotes": "outer membrane vesicles",
    },
    "fischeri": {
        "speciesName": "Vibrio fischeri",
        "date": 1546300799,
        "tiltMin": -65.5,
        "dosage": 0,
        "microscopist": "bo",
        "swReconstruction": "Raptor",
        "authors": [{"name": "Ada Example", "ORCID": "0000-0001"}],
    },
    "coli": {
        "speciesName": "Escherichia coli",
        "date": 1546300800,
        "microscopist": "Cy",
        "artNotes": "an outer wall and a membrane 100% flat, under_score",
        "ownField": {"nested": ["chemoreceptor"]},
    },
    "plain": {"strain": ""},
}


def artifact(author: Author, sid: str, number: int) -> dict[str, Any]:
    files = [
        {
            "fname": f"raw/{sid}.st",
            "fsize": 10**9 * (number + 1),
            "type": "tomogram",
            "subtype": "tiltSeries",
            "software": "SerialEM",
        }
    ]
    details = {**LAB[sid], "sid": sid, "fileInfo": {f"raw/{sid}.st": {"cid": RAW_CID}}}
    made = author.artifact(
        timestamp=SIGNED_AT + number,
        info={"title": f"Title {sid}"},
        storage={"network": "ipfs", "location": DIRECTORY, "files": files},
    )
    return {**made, "details": details}


@pytest.fixture
def texts(author: Author) -> dict[str, str]:
    """One record of each dataset of the lab, the later the younger."""
    return {
        sid: author.publish(artifact(author, sid, number))
        for number, sid in enumerate(LAB)
    }


@pytest.fixture
def index(make_index: Make, ledger: MemoryLedger, texts: dict[str, str]) -> Index:
    ledger.mine(*texts.values())
    return make_index(ledger)


def sids(index: Index, query: str = "", **options: Any) -> list[str]:
    found = queries.search(index, query, **options).results
    return [record["details"]["sid"] for record in found]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "cholera fischeri coli plain"),
        ("vibrio", "cholera fischeri"),
        ("VIBRIO -fischeri", "cholera"),
        ("chol*", "cholera"),
        ('"outer membrane"', "cholera"),
        ("outer membrane", "cholera coli"),
        ('"outer mem"*', "cholera"),
        ('species:"Vibrio cholerae"', "cholera"),
        ('species:"cholerae Vibrio"', ""),
        ('notes:"Vibrio cholerae"', ""),
        ("species:vibr", ""),
        ("species:vibr*", "cholera fischeri"),
        ("strain:O395", "cholera"),
        ("strain:o395-n1", "cholera"),
        ("has:strain", "cholera"),
        ("-has:strain", "fischeri coli plain"),
        ("microscopist:zoe", "cholera"),
        ("angstrom", "cholera"),
        ("tilt_min<=-60", "cholera fischeri"),
        ("tilt_min:-60", "cholera"),
        ("tilt_min:-70..-61", "fischeri"),
        ("-tilt_min<=-60", "coli plain"),
        ("dose:0", "fischeri"),
        ("dose>=0", "cholera fischeri"),
        ("-dose>100", "fischeri coli plain"),
        ("date:2015-09-09", "cholera"),
        ("date:2015..2018", "cholera fischeri"),
        ("date>2018", "coli"),
        ("date<2019", "cholera fischeri"),
        ("published:2023", "cholera fischeri coli plain"),
        ("software:raptor", "fischeri"),
        ("-software:raptor vibrio", "cholera"),
        ("software:serialem", "cholera fischeri coli plain"),
        ("acquisition:serialem", ""),
        ("authors:ada", "fischeri"),
        ("0000-0001", "fischeri"),
        ("chemoreceptor", "coli"),
        ("other:chemoreceptor", "coli"),
        ("file:coli.st", "coli"),
        ("role:tiltSeries", "cholera fischeri coli plain"),
        ("role:reconstruction", ""),
        ("size>2GB", "coli plain"),
        ("size:1GB", "cholera"),
        ("file_count:1", "cholera fischeri coli plain"),
        ("height:1", "cholera fischeri coli plain"),
        ("height>1", ""),
        ("class:A", "cholera fischeri coli plain"),
        ("class:B", ""),
        ("has:txid has:height has:id", "cholera fischeri coli plain"),
        (f"cid:{DIRECTORY}", "cholera fischeri coli plain"),
        (f"cid:{RAW_CID}", "cholera fischeri coli plain"),
        ("cid:bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku", ""),
        ("(fischeri OR coli) -size>2GB", "fischeri"),
        ("NOT (vibrio OR coli)", "plain"),
        ("title:plain", "plain"),
        ("sid:coli", "coli"),
    ],
)
def test_what_is_asked_is_found(index: Index, query: str, expected: str) -> None:
    assert sids(index, query, sort="oldest") == expected.split()


def test_ids_and_publishers_are_searched(
    index: Index, author: Author, texts: dict[str, str]
) -> None:
    record = queries.get_record(index, digest_in(texts["coli"]))

    assert sids(index, f"id:{record['id'][:12].upper()}") == ["coli"]
    assert sids(index, f"txid:{record['txid'][:12]}") == ["coli"]
    assert len(sids(index, f"publisher:{author.address}")) == 4
    assert sids(index, f"publisher:{author.address[:-1]}") == []


@pytest.mark.parametrize(
    "hostile",
    [
        "'; DROP TABLE records; --",
        '" OR 1=1 --',
        'species : "vibrio"',
        "vibrio) OR (1=1",
        'NEAR("a" "b")',
        "{species strain} : x",
        "100%",
        "under_score",
        "\\",
        "a' OR 'a'='a",
        "rowid MATCH x",
    ],
)
def test_values_are_never_sql_or_full_text_syntax(
    index: Index, dump: Callable[[Index], Any], hostile: str
) -> None:
    before = dump(index)
    quoted = '"' + hostile.replace("\\", "\\\\").replace('"', '\\"') + 'x"'
    for query in (quoted, f"species:{quoted}", f"publisher:{quoted}", f"cid:{quoted}"):
        assert sids(index, query) == []

    assert dump(index) == before


def test_a_publishers_name_is_matched_as_written_not_as_a_pattern(
    index: Index, ledger: MemoryLedger, author: Author
) -> None:
    ledger.mine(author.register("100% Lab"))
    follow(index, ledger)

    assert len(sids(index, 'publisher:"100% l"')) == 4
    assert sids(index, 'publisher:"1%"') == []


def test_only_the_publishers_asked_for_are_listed(
    index: Index, ledger: MemoryLedger, author: Author
) -> None:
    other = Author(2)
    ledger.mine(other.publish(other.artifact({"sid": "theirs"})))
    follow(index, ledger)

    assert sids(index, publishers=[other.address]) == ["theirs"]
    assert queries.search(index, publishers=[author.address]).total == 4
    assert queries.search(index).total == 5


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("newest", "plain coli fischeri cholera"),
        ("oldest", "cholera fischeri coli plain"),
        ("acquired", "coli fischeri cholera plain"),
        ("species", "coli cholera fischeri plain"),
        ("microscopist", "fischeri coli cholera plain"),
        ("size", "plain coli fischeri cholera"),
        ("title", "cholera coli fischeri plain"),
    ],
)
def test_a_list_can_be_ordered_and_paged(
    index: Index, sort: str, expected: str
) -> None:
    found: list[str] = []
    after = None
    while True:
        page = queries.search(index, sort=sort, limit=1, after=after)
        found += [record["details"]["sid"] for record in page.results]
        assert page.total == 4
        if page.next is None:
            break
        after = page.next

    assert found == expected.split()
    assert sids(index, sort=sort) == expected.split()
    assert sort in queries.SORTS


@pytest.mark.parametrize("sort", list(queries.SORTS))
def test_pages_neither_repeat_nor_skip_while_records_arrive(
    index: Index, ledger: MemoryLedger, author: Author, sort: str
) -> None:
    expected = sids(index, sort=sort)
    arriving = iter(range(3))
    found: list[str] = []
    after = None
    while True:
        page = queries.search(index, sort=sort, limit=1, after=after)
        found += [record["details"]["sid"] for record in page.results]
        if page.next is None:
            break
        after = page.next
        if (number := next(arriving, None)) is not None:
            made = author.artifact({"sid": f"new{number}"}, timestamp=SIGNED_AT + 9)
            ledger.mine(author.publish(made))
            follow(index, ledger)

    assert len(set(found)) == len(found)
    assert [sid for sid in found if not sid.startswith("new")] == expected


@pytest.mark.parametrize(
    "token",
    ["", "x", "!!!", "bm90IGpzb24", "W10", "WyJvbGRlc3QiLDEsIngiXQ", "e30", "8J+Y"],
)
def test_a_token_that_is_not_of_this_list_is_refused(index: Index, token: str) -> None:
    with pytest.raises(InvalidDataError, match="page token"):
        queries.search(index, after=token)
    with pytest.raises(InvalidDataError, match="page token"):
        queries.list_rejected(index, after=token)


@pytest.mark.parametrize("limit", [0, -1, 1_001])
def test_a_page_is_bounded(index: Index, limit: int) -> None:
    with pytest.raises(InvalidDataError):
        queries.search(index, limit=limit)
    with pytest.raises(InvalidDataError):
        queries.list_rejected(index, limit=limit)


def test_an_unknown_order_is_refused(index: Index) -> None:
    with pytest.raises(InvalidDataError, match="newest"):
        queries.search(index, sort="species; DROP TABLE records")


def test_a_record_is_found_by_everything_that_names_it(
    index: Index, texts: dict[str, str]
) -> None:
    digest = digest_in(texts["coli"])
    txid = queries.get_record(index, digest)["txid"]

    for name in (
        digest,
        digest.upper(),
        f" {digest} ",
        digest[:6],
        txid,
        txid[:7],
        f"http://127.0.0.1:8000/records/{digest}",
        f"https://example.org/etdb/records/{txid[:10]}?tab=files#top",
        f"/records/{digest[:8]}/",
    ):
        assert queries.get_record(index, name)["id"] == digest
        assert queries.get_record(index, name)["text"] == texts["coli"]


@pytest.mark.parametrize(
    "name",
    ["", "abc", "ab" * 33, "00" * 32, "zzzzzz", "%' OR 1=1", "/records/", "é" * 9],
)
def test_what_names_no_record_is_not_found(index: Index, name: str) -> None:
    with pytest.raises(NotFoundError):
        queries.get_record(index, name)


def test_a_beginning_of_several_ids_lists_them(
    make_index: Make, author: Author
) -> None:
    ledger = MemoryLedger("embedded", LedgerKind.EMBEDDED)
    texts = [author.publish_old(), author.publish(author.artifact({"sid": "listed"}))]
    ledger.send(
        [
            SignedTransaction(
                Txid("abcdef" + str(number) * 58), b"\0" * 8 + text.encode(), 1
            )
            for number, text in enumerate(texts)
        ]
    )
    index = make_index(ledger)

    with pytest.raises(ConflictError) as caught:
        queries.get_record(index, "abcdef")

    candidates: Any = caught.value.facts["candidates"]
    assert [each["id"] for each in candidates] == [
        digest_in(texts[1]),
        digest_in(texts[0]),
    ]
    assert [each["class"] for each in candidates] == ["A", "unattested"]
    assert queries.get_record(index, "abcdef0")["id"] == digest_in(texts[0])


def test_a_record_is_found_by_its_labs_own_id(
    index: Index, ledger: MemoryLedger, author: Author, texts: dict[str, str]
) -> None:
    found = queries.find_by_sid(index, author.address, "coli")
    assert found is not None
    assert found["text"] == texts["coli"]
    assert queries.find_by_sid(index, author.address, "COLI") is None
    assert queries.find_by_sid(index, Author(2).address, "coli") is None

    ledger.mine(author.deactivate(texts["coli"]))
    follow(index, ledger)

    assert queries.find_by_sid(index, author.address, "coli") is None


def test_a_value_that_is_not_unicode_is_refused(index: Index, author: Author) -> None:
    with pytest.raises(InvalidDataError, match="not Unicode"):
        queries.find_by_sid(index, author.address, "syn\udcff")


def test_the_youngest_record_under_a_labs_id_is_found(
    index: Index, ledger: MemoryLedger, author: Author
) -> None:
    later = author.publish(artifact(author, "coli", 50))
    ledger.mine(later)
    follow(index, ledger)

    found = queries.find_by_sid(index, author.address, "coli")

    assert found is not None
    assert found["id"] == digest_in(later)


def test_rejected_messages_are_listed_newest_first_in_pages(
    make_index: Make, ledger: MemoryLedger
) -> None:
    ledger.mine("json:1", "json:{")
    ledger.mine("oip-mp(")
    index = make_index(ledger)

    places = []
    after = None
    for _ in range(3):
        page = queries.list_rejected(index, limit=1, after=after)
        assert page.total == 3
        (row,) = page.results
        places.append((row["height"], row["position"], row["code"]))
        after = page.next

    assert places == [(2, 1, "R7"), (1, 2, "B1"), (1, 1, "B2")]
    assert after is None
    assert set(row) == {
        "ledger",
        "height",
        "position",
        "txid",
        "time",
        "code",
        "reason",
    }


def test_status_says_what_the_index_holds(index: Index, ledger: MemoryLedger) -> None:
    ledger.mine("json:{")
    follow(index, ledger)

    status = queries.status(index)

    assert status == {
        "ledgers": [
            {
                "id": "memory",
                "kind": "flo-regtest",
                "height": 2,
                "hash": ledger.tip().hash,
                "time": ledger.block(2).time,
                "messages": 4,
            }
        ],
        "records": 4,
        "species": 3,
        "labs": 0,
        "withdrawn": 0,
        "unattested": 0,
        "rejected": 1,
    }
    assert queries.count(index) == {"records": 4, "species": 3, "labs": 0}
    assert queries.is_at(index, "memory", ledger.tip())
    assert not queries.is_at(index, "memory", Tip(1, ledger.block(1).hash))
