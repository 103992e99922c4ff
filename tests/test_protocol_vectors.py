"""The test vectors of docs/protocol.md: made again by the product, and without it.

The functions under "By hand" use the standard library (and `cryptography` for
ECDSA): they follow the document, not the code.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256

from etdb.durable import Log
from etdb.identity import CID, Address, Digest, Txid, encode_base58check
from etdb.ledger.flo.block import FloBlock, show_hash
from etdb.ledger.flo.fee import fee_sat
from etdb.ledger.flo.file import BlockFile
from etdb.ledger.flo.local import EmbeddedChain
from etdb.ledger.flo.params import REGTEST
from etdb.ledger.flo.script import find_unlock, verify_input
from etdb.ledger.flo.seal import Declaration, Draft, seal
from etdb.ledger.flo.tx import SIGHASH_ALL, Transaction
from etdb.publish import keys
from etdb.record.canonical import (
    canonical_bytes,
    digest_of,
    parse_json,
    parse_message_text,
    signature_holder,
)
from etdb.record.edits import (
    decode_old_edit,
    find_old_preimage,
    replacement_of,
    wrap_edit,
)
from etdb.record.message import LedgerKind, Place
from etdb.record.model import FIELDS
from etdb.record.oip042 import arrange, encode_artifact, read_envelope, wrap
from etdb.record.parts import encode_part, join, parse_part, plan_chunks, verify_part
from etdb.record.rules import Rejection, Statement, attested_old, judge, resolve
from etdb.record.signing import (
    MAIN_P2PKH,
    TEST_P2PKH,
    PrivateKey,
    content_text,
    hash160,
    old_preimage,
    sign_body,
    verify_content_signature,
    verify_old_signature,
)
from etdb.store.catalogue import Catalogue
from etdb.store.directory import build_tree
from etdb.store.schema import SCHEMA_VERSION
from etdb.store.tree import FileTree, Subtree
from etdb.store.unixfs import PROFILES, Link, Profile, chunk_digest, verify_block

ROOT = Path(__file__).resolve().parent.parent
VECTORS: dict[str, Any] = json.loads(
    (ROOT / "tests" / "vectors" / "protocol.json").read_text("utf-8")
)
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text("utf-8")
KEY = PrivateKey.from_bytes(b"\1" * 32)
ADDRESS = KEY.address(TEST_P2PKH)
ACTIONS = {
    "publish": "artifact",
    "edit": "artifact",
    "deactivate": "artifact",
    "register": "pub",
}
CONTENT = VECTORS["content"]
CHAIN = VECTORS["chain"]
BLOCKS = [FloBlock.parse(bytes.fromhex(block["raw"])) for block in CHAIN["blocks"]]


# Key files.


def test_the_key_has_its_addresses_and_export_forms() -> None:
    key = VECTORS["key"]

    assert KEY.to_bytes().hex() == key["secret"]
    assert KEY.public_key.hex() == key["public_key"]
    assert hash160(KEY.public_key).hex() == key["hash160"]
    assert KEY.address(MAIN_P2PKH) == key["address_main"]
    assert key["address_test"] == ADDRESS
    for wif in (key["wif_main"], key["wif_test"]):
        assert PrivateKey.from_wif(wif).to_bytes() == KEY.to_bytes()


def test_a_backup_gives_both_keys_back(tmp_path: Path) -> None:
    vector = VECTORS["backup"]
    file = tmp_path / "backup.json"
    file.write_text(json.dumps(vector["file"]), "utf-8")

    restored = keys.restore(file, tmp_path / "keys", vector["passphrase"])

    assert restored.address == ADDRESS
    assert restored.publisher.to_bytes() == restored.wallet.to_bytes()
    line = (tmp_path / "keys" / keys.PUBLISHER).read_text("ascii")
    assert line == VECTORS["key"]["wif_test"] + "\n"


# Records and parts.


@pytest.mark.parametrize("action", ACTIONS)
def test_a_body_has_its_digest_and_its_signatures(action: str) -> None:
    vector = VECTORS[action]

    signed = sign_body(action, vector["body"], KEY)

    digest = digest_of(action, signed)
    content = signature_holder(action, signed)["contentSignature"]
    assert digest == digest_of(action, vector["body"]) == vector["digest"]
    assert content_text(action, digest) == vector["content_text"]
    assert content == vector["content_signature"]
    assert old_preimage(action, signed) == vector["old_text"]
    assert signed["signature"] == vector["old_signature"]
    verify_content_signature(ADDRESS, content, action, digest)
    verify_old_signature(ADDRESS, signed["signature"], vector["old_text"])


@pytest.mark.parametrize("action", ["publish", "deactivate", "register"])
def test_a_signed_body_has_its_text(action: str) -> None:
    vector = VECTORS[action]
    signed = sign_body(action, vector["body"], KEY)
    ordered = arrange(signed) if action == "publish" else signed

    assert wrap(action, ACTIONS[action], ordered) == vector["text"]


def test_an_edit_has_its_text() -> None:
    vector = VECTORS["edit"]
    signed = arrange(sign_body("edit", vector["body"], KEY))

    text = wrap_edit(signed, Txid(VECTORS["parts"]["first_txid"]), KEY)

    assert text == vector["text"]
    outer = json.loads(text.removeprefix("json:"))["oip042"]["edit"]
    assert replacement_of(outer["artifact"]) == signed
    verify_old_signature(ADDRESS, outer["signature"], vector["outer_text"])


def test_numbers_and_strings_have_their_spelling() -> None:
    spelling = VECTORS["spelling"]

    for literal, spelt in spelling["numbers"]:
        assert encode_artifact({"n": parse_json(literal)}) == f'{{"n":{spelt}}}'
        assert canonical_bytes(parse_json(literal)).decode() == spelt
    for string in spelling["strings"]:
        wire = encode_artifact({"s": string["value"]})
        assert wire == f'{{"s":{string["wire"]}}}'
        assert canonical_bytes(string["value"]).decode() == string["canonical"]


def test_a_text_is_split_and_joined() -> None:
    vector = VECTORS["parts"]
    text = VECTORS["publish"]["text"]
    chunks = plan_chunks(text)

    texts = [
        encode_part(i, 1, ADDRESS, vector["first_txid"] if i else "", chunk, KEY)
        for i, chunk in enumerate(chunks)
    ]

    assert [len(chunk.encode()) for chunk in chunks] == vector["chunk_bytes"]
    assert texts == vector["texts"]
    parts = [parse_part(part) for part in texts]
    for part in parts:
        verify_part(part)
    assert join(parts) == text


@pytest.mark.parametrize("split", VECTORS["parts"]["splits"])
def test_texts_are_cut_between_characters(split: dict[str, Any]) -> None:
    text = "".join(letter * count for letter, count in split["text"])

    chunks = plan_chunks(text)

    assert [len(chunk.encode()) for chunk in chunks] == split["chunk_bytes"]
    assert "".join(chunks) == text


@pytest.mark.parametrize("case", VECTORS["judged"], ids=lambda case: case["why"])
def test_a_message_is_judged(case: dict[str, Any]) -> None:
    place = Place("ff" * 32, case["height"], 1, Txid("00" * 32), 1_700_000_400)

    found = judge(case["text"], place=place, ledger_kind=LedgerKind(case["ledger"]))

    if "rejected" in case:
        assert isinstance(found, Rejection)
        assert found.code == case["rejected"]
    elif "class" in case:
        assert found is not None
        assert not isinstance(found, Rejection)
        assert (found.record_class, found.action) == (case["class"], case["action"])
    else:
        assert found is None


@pytest.mark.parametrize("case", VECTORS["historical"], ids=lambda case: case["form"])
def test_a_historical_form_is_decoded_and_its_signature_holds(
    case: dict[str, Any],
) -> None:
    envelope = read_envelope(parse_message_text(case["text"]))
    place = Place("ff" * 32, 3, 1, Txid("00" * 32), 1_700_000_500)

    said = judge(case["text"], place=place, ledger_kind=LedgerKind.FLO_TEST)

    assert isinstance(said, Statement)
    assert (said.record_class, said.action) == (case["class"], case["action"])
    if "operations" in case:
        operations = decode_old_edit(envelope.body).operations
        assert list(operations) == case["operations"]
    if case["action"] == "register":
        assert old_preimage("register", envelope.body) == case["signed_text"]
    else:
        found = find_old_preimage(envelope, Address(case["publisher"]))
        assert found is not None
        assert found.text == case["signed_text"]
    verify_old_signature(ADDRESS, case["signature"], case["signed_text"])
    verify_message_by_hand(case["signed_text"], case["signature"])
    assert case["signature"] in case["text"]


@pytest.mark.parametrize(
    "case", VECTORS["set"]["cases"], ids=lambda c: "+".join(c["seen"])
)
def test_a_set_of_statements_stands_as_it_does(case: dict[str, Any]) -> None:
    named = VECTORS["set"]["statements"]
    names = {vector["digest"]: name for name, vector in named.items()}
    heard = {name: statement_of(named[name]["text"]) for name in case["seen"]}
    for name, statement in heard.items():
        assert statement.digest == named[name]["digest"]
    about = [heard[name] for name in case["seen"] if name != "root"]

    for order in (about, about[::-1]):
        standing = resolve(
            heard["root"],
            [one for one in order if one.action == "edit"],
            [one for one in order if one.action == "deactivate"],
        )

        withdrawn = standing.withdrawn_by
        assert names[standing.current.digest] == case["current"]
        for key in ("forks", "pending", "refused"):
            found = {names[one.digest] for one in getattr(standing, key)}
            assert found == set(case[key])
        assert (withdrawn and names[withdrawn.digest]) == case["withdrawn_by"]


def statement_of(text: str) -> Statement:
    place = Place("ff" * 32, 3, 1, Txid("00" * 32), 1_700_000_500)
    said = judge(text, place=place, ledger_kind=LedgerKind.FLO_TEST)
    assert isinstance(said, Statement)
    return said


def test_a_claim_counts_once_and_never_beside_something_better() -> None:
    forged = statement_of(VECTORS["claim"]["forged"])
    place = Place("ff" * 32, 3, 1, Txid("00" * 32), 1_700_000_500)
    signed = statement_of(VECTORS["publish"]["text"])

    assert forged.digest == VECTORS["claim"]["digest"]
    assert (forged.address, forged.location, forged.timestamp) == (
        signed.address,
        signed.location,
        signed.timestamp,
    )
    for has_better, counting in ((False, {forged.digest}), (True, set())):
        assert attested_old([(forged, place)], has_better) == counting


# The chain.


@pytest.mark.parametrize("number", [0, 1])
def test_a_transaction_has_its_sighash_signature_and_txid(number: int) -> None:
    vector = VECTORS["transactions"][number]
    script = bytes.fromhex(vector["spent_script"])

    transaction = Transaction.parse(bytes.fromhex(vector["raw"]))

    unlock = find_unlock(transaction.inputs[0].script)
    sighash = transaction.sighash(0, script, SIGHASH_ALL)
    assert unlock is not None
    assert sighash.hex() == vector["sighash"]
    assert KEY.sign_hash(sighash) == unlock.signature
    assert unlock.signature.hex() == vector["signature_der"]
    assert transaction.txid == vector["txid"]
    assert transaction.flo_data.decode() == VECTORS["parts"]["texts"][number]
    assert fee_sat(len(transaction.flo_data)) == vector["fee_sat"]
    verify_input(transaction, 0, script)


def test_the_blocks_are_made_again() -> None:
    declaration = Declaration(CHAIN["declaration"], ADDRESS)
    parent = REGTEST.genesis().header
    assert parent.hash == CHAIN["genesis_hash"]

    for vector, block in zip(CHAIN["blocks"], BLOCKS, strict=True):
        first, *others = block.transactions
        draft = Draft(
            vector["height"], parent, vector["time"], tuple(others), first.outputs[0]
        )
        made = seal(draft, KEY, declaration if vector["height"] == 1 else None)

        assert made.encode().hex() == vector["raw"]
        assert made.transactions[0].flo_data.decode() == vector["flo_data"]
        assert made.transactions[0].txid == vector["coinbase_txid"]
        assert show_hash(made.header.root) == vector["root"]
        assert (made.header.nonce, made.header.hash) == (
            vector["nonce"],
            vector["hash"],
        )
        parent = made.header


def test_the_file_of_the_blocks_is_written_and_verified(tmp_path: Path) -> None:
    file = BlockFile(tmp_path)
    for block in BLOCKS:
        file.append([block])

    written = (tmp_path / "blocks.log").read_bytes()

    assert len(written) == CHAIN["log"]["bytes"]
    assert written.startswith(bytes.fromhex(CHAIN["log"]["first_frames"]))
    assert hashlib.sha256(written).hexdigest() == CHAIN["log"]["sha256"]
    chain = EmbeddedChain.open(tmp_path)
    chain.verify()
    assert (chain.info.id, chain.address) == (CHAIN["blocks"][0]["hash"], ADDRESS)


# Files.


def build_file(data: bytes, profile: Profile, blocks: dict[str, str]) -> Subtree:
    tree = FileTree(profile, lambda cid, block: blocks.update({str(cid): block.hex()}))
    for start in range(0, max(1, len(data)), profile.chunk_bytes):
        chunk = data[start : start + profile.chunk_bytes]
        tree.add(chunk_digest(chunk, profile), len(chunk))
    return tree.finish()


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("file", CONTENT["files"], ids=lambda file: file["what"])
def test_a_file_has_its_cid(file: dict[str, Any], name: str) -> None:
    data = bytes.fromhex(file["unit"]) * file["count"]
    vector = file["profiles"][name]
    blocks: dict[str, str] = {}

    built = build_file(data, PROFILES[name], blocks)

    assert (str(built.cid), built.tsize) == (vector["cid"], vector["tsize"])
    if "node" in vector:
        assert blocks[vector["cid"]] == vector["node"]


@pytest.mark.parametrize("name", PROFILES)
def test_a_directory_has_its_cid_and_its_blocks(name: str) -> None:
    vector = CONTENT["directory"]["profiles"][name]
    blocks: dict[str, str] = {}
    links = {}
    for path, data in CONTENT["directory"]["files"].items():
        built = build_file(bytes.fromhex(data), PROFILES[name], {})
        links[path] = Link("", built.cid, built.tsize)

    root = build_tree(
        links, PROFILES[name], lambda cid, block: blocks.update({str(cid): block.hex()})
    )

    assert (str(root.cid), root.tsize) == (vector["cid"], vector["tsize"])
    assert blocks == vector["blocks"]
    for text, block in blocks.items():
        verify_block(CID.parse(text), bytes.fromhex(block))


@pytest.mark.parametrize("name", PROFILES)
def test_a_large_directory_has_its_cid(name: str) -> None:
    hamt = CONTENT["hamt"]
    empty = build_file(b"", PROFILES[name], {})
    link = Link("", empty.cid, empty.tsize)
    cids: list[CID] = []

    root = build_tree(
        {hamt["names"] % number: link for number in range(hamt["count"])},
        PROFILES[name],
        lambda cid, _: cids.append(cid),
    )

    vector = hamt["profiles"][name]
    assert (str(root.cid), root.tsize) == (vector["cid"], vector["tsize"])
    assert len(cids) == vector["shards"]


# By hand.


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def counted(data: bytes) -> bytes:
    if len(data) < 0xFD:
        return bytes([len(data)]) + data
    return b"\xfd" + struct.pack("<H", len(data)) + data


def base58check(payload: bytes) -> str:
    digits = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    data = payload + sha256d(payload)[:4]
    number = int.from_bytes(data, "big")
    text = ""
    while number:
        number, digit = divmod(number, 58)
        text = digits[digit] + text
    return "1" * (len(data) - len(data.lstrip(b"\0"))) + text


def verify_by_hand(digest: bytes, r: int, s: int) -> None:
    curve = ec.SECP256K1()
    public = bytes.fromhex(VECTORS["key"]["public_key"])
    ec.EllipticCurvePublicKey.from_encoded_point(curve, public).verify(
        utils.encode_dss_signature(r, s), digest, ec.ECDSA(utils.Prehashed(SHA256()))
    )


def verify_message_by_hand(text: str, signature: str) -> None:
    raw = base64.b64decode(signature)
    assert (len(raw), raw[0] in range(31, 35)) == (65, True)
    magic = b"Florincoin Signed Message:\n"
    verify_by_hand(
        sha256d(counted(magic) + counted(text.encode())),
        int.from_bytes(raw[1:33], "big"),
        int.from_bytes(raw[33:], "big"),
    )


def test_addresses_and_export_forms_by_hand() -> None:
    key = VECTORS["key"]
    public = bytes.fromhex(key["public_key"])
    short = hashlib.new("ripemd160", hashlib.sha256(public).digest()).digest()
    secret = b"\1" * 32 + b"\1"

    assert short.hex() == key["hash160"]
    assert base58check(b"\x23" + short) == key["address_main"]
    assert base58check(b"\x73" + short) == key["address_test"]
    assert base58check(b"\xa3" + secret) == key["wif_main"]
    assert base58check(b"\xef" + secret) == key["wif_test"]
    assert base58check(b"\0\0\1") == encode_base58check(b"\0\0\1")


@pytest.mark.parametrize("action", ACTIONS)
def test_digest_and_signatures_by_hand(action: str) -> None:
    """Valid for bodies of ASCII names and of numbers that both print alike."""
    vector = VECTORS[action]
    canonical = json.dumps(
        vector["body"], sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )

    digest = hashlib.sha256(canonical.encode()).hexdigest()

    assert canonical == vector.get("canonical", canonical)
    assert digest == vector["digest"]
    assert vector["content_text"] == f"etdb:1:{action}:{Digest(digest)}"
    verify_message_by_hand(vector["content_text"], vector["content_signature"])
    verify_message_by_hand(vector["old_text"], vector["old_signature"])


def test_parts_by_hand() -> None:
    text = VECTORS["publish"]["text"].encode()
    chunks = text[:840].decode(), text[840:].decode()
    references = "", VECTORS["parts"]["first_txid"]

    for index, part in enumerate(VECTORS["parts"]["texts"]):
        signed = f"{index}-1-{ADDRESS}-{references[index]}-{chunks[index]}"
        header, _, data = part.partition("):")
        assert signed == VECTORS["parts"]["preimages"][index]
        assert data == chunks[index]
        verify_message_by_hand(signed, header.split(",")[-1])


def test_transactions_by_hand() -> None:
    for vector in VECTORS["transactions"]:
        raw = bytes.fromhex(vector["raw"])
        script = bytes.fromhex(vector["spent_script"])
        size = raw[41]
        signed = raw[:41] + counted(script) + raw[42 + size :] + b"\1\0\0\0"

        assert sha256d(raw)[::-1].hex() == vector["txid"]
        assert raw[5:37][::-1].hex() == vector["spends"][0]
        assert sha256d(signed).hex() == vector["sighash"]
        der = bytes.fromhex(vector["signature_der"])
        verify_by_hand(sha256d(signed), *utils.decode_dss_signature(der))


def test_blocks_by_hand() -> None:
    previous = bytes.fromhex(CHAIN["genesis_hash"])[::-1]
    for vector, block in zip(CHAIN["blocks"], BLOCKS, strict=True):
        header = bytes.fromhex(vector["raw"])[:80]
        version, parent, root, time, bits, nonce = struct.unpack("<i32s32sIII", header)
        first, *others = block.transactions
        bare = replace(first, flo_data=b"").encode()
        unsigned = merkle_by_hand([bare, *(item.encode() for item in others)])
        said = f"{vector['height']}:{previous[::-1].hex()}:{version}:{time}:{bits}"
        said += f":{unsigned[::-1].hex()}"
        head, _, signature = vector["flo_data"].rpartition(":")
        text = f"etdb:1:block:{hashlib.sha256(said.encode()).hexdigest()}"
        work = [
            scrypt_by_hand(header[:76] + struct.pack("<I", n)) for n in range(nonce + 1)
        ]

        assert parent == previous
        assert root == merkle_by_hand([item.encode() for item in block.transactions])
        assert said == vector["said"]
        assert (f"{text}:{head}" if head else text) == vector["text"]
        verify_message_by_hand(vector["text"], signature)
        assert [found < 0x7FFFFF << 232 for found in work] == [False] * nonce + [True]
        previous = sha256d(header)
        assert previous[::-1].hex() == vector["hash"]


def merkle_by_hand(transactions: list[bytes]) -> bytes:
    level = [sha256d(item) for item in transactions]
    while len(level) > 1:
        level += level[-1:] * (len(level) % 2)
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [sha256d(left + right) for left, right in pairs]
    return level[0]


def scrypt_by_hand(header: bytes) -> int:
    work = hashlib.scrypt(header, salt=header, n=1024, r=1, p=1, dklen=32)
    return int.from_bytes(work, "little")


def test_the_file_of_blocks_by_hand(tmp_path: Path) -> None:
    def frame(data: bytes) -> bytes:
        return struct.pack("<II", len(data), zlib.crc32(data)) + data

    raws = [bytes.fromhex(block["raw"]) for block in CHAIN["blocks"]]
    made = b"".join(frame(frame(raw)) for raw in raws)
    path = tmp_path / "blocks.log"
    path.write_bytes(made + frame(frame(b"torn"))[:-1])

    log = Log(path)

    assert hashlib.sha256(made).hexdigest() == CHAIN["log"]["sha256"]
    assert [entry for _, entry in log.read_new()] == raws
    assert log.torn_bytes == 19


def test_cids_by_hand() -> None:
    six = next(file for file in CONTENT["files"] if file["what"] == "six bytes")
    digest = hashlib.sha256(b"hello\n").digest()
    raw = base64.b32encode(b"\x01\x55\x12\x20" + digest).decode().lower().rstrip("=")
    wrapped = b"\x0a\x0c\x08\x02\x12\x06hello\n\x18\x06"
    names = CONTENT["directory"]["profiles"]["unixfs-v1-2025"]["blocks"]

    assert six["profiles"]["unixfs-v1-2025"]["cid"] == "b" + raw
    old = six["profiles"]["unixfs-v0-2015"]
    multihash = b"\x12\x20" + hashlib.sha256(wrapped).digest()
    assert CID.from_bytes(multihash) == CID.parse(old["cid"])
    assert old["tsize"] == len(wrapped)
    for cid, block in names.items():
        found = b"\x01\x70\x12\x20" + hashlib.sha256(bytes.fromhex(block)).digest()
        assert cid == "b" + base64.b32encode(found).decode().lower().rstrip("=")


# The document.


def test_the_document_lists_every_field_with_its_unit() -> None:
    rows = {
        cells[1].strip("` "): cells
        for line in DOCUMENT.splitlines()
        if len(cells := [cell.strip() for cell in line.split("|")]) == 7
        and cells[1].startswith("`")
    }
    sources = {"paper, Table 1": "paper", "go-etdb": "go-etdb", "etdb": "etdb"}
    listed = {}
    for field in FIELDS:
        row = rows.get(".".join(field.path), ["?"] * 7)
        listed[".".join(field.path)] = (row[2], row[3], row[5])

    assert listed == {
        ".".join(field.path): (field.kind, field.unit or "–", sources[field.source])
        for field in FIELDS
    }


def test_the_document_lists_every_column_of_the_store(tmp_path: Path) -> None:
    catalogue = Catalogue.create(tmp_path / "store.sqlite")
    tables = catalogue._read(
        "SELECT m.name, c.name, c.type FROM sqlite_schema m,"
        " pragma_table_info(m.name) c WHERE m.type = 'table'"
        " AND m.name NOT LIKE 'sqlite%'"
    )
    catalogue.close()
    section = DOCUMENT.partition("### 6.6")[2].partition("## 7.")[0]

    missing = [
        f"{table}.{column}"
        for table, column, kind in tables
        if f"| `{column}` | {kind}" not in section.partition(f"**`{table}`**")[2]
    ]

    assert missing == []
    assert f"`user_version` {SCHEMA_VERSION}" in section


def test_the_document_quotes_the_vectors() -> None:
    quoted = [
        *(VECTORS["key"][name] for name in ("public_key", "hash160", "address_main")),
        *(VECTORS["publish"][name] for name in ("digest", "content_text", "old_text")),
        VECTORS["publish"]["content_signature"],
        VECTORS["publish"]["old_signature"],
        *(VECTORS[name]["content_text"] for name in ("edit", "deactivate")),
        *(
            VECTORS[name][signature]
            for name in ("deactivate", "register")
            for signature in ("content_signature", "old_signature")
        ),
        VECTORS["parts"]["first_txid"],
        VECTORS["transactions"][0]["sighash"],
        CHAIN["genesis_hash"],
        CHAIN["blocks"][0]["text"],
        *(CHAIN["blocks"][1][name] for name in ("said", "text", "flo_data")),
        *(file["profiles"]["unixfs-v1-2025"]["cid"] for file in CONTENT["files"][:2]),
    ]

    assert [value for value in quoted if value not in DOCUMENT] == []


@pytest.mark.parametrize("action", ["publish", "deactivate", "register"])
def test_the_document_shows_the_text_of_the_vector(action: str) -> None:
    begin = DOCUMENT.index(f'    json:{{"oip042":{{"{action}"')
    shown = DOCUMENT[begin : DOCUMENT.index("\n\n", begin)]

    text = "".join(line.strip() for line in shown.splitlines())

    assert text == VECTORS[action]["text"]
