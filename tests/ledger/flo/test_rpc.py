"""Whatever a daemon answers is a result, a refusal or one clear error."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from etdb.errors import (
    EtdbError,
    InvalidDataError,
    NotAllowedError,
    UnavailableError,
)
from etdb.ledger.flo.rpc import Refusal, Rpc
from etdb.testing.daemon import LOGIN, Dialect, FakeDaemon, Fault
from etdb.testing.resources import peak_bytes

USER, PASSWORD = LOGIN


@pytest.fixture(params=["flod", "fcoin"])
def daemon(request: pytest.FixtureRequest) -> Iterator[FakeDaemon]:
    dialect: Dialect = request.param
    with FakeDaemon(dialect) as running:
        yield running


@pytest.fixture
def rpc(daemon: FakeDaemon) -> Iterator[Rpc]:
    with Rpc(daemon.url, *LOGIN) as open_rpc:
        yield open_rpc


def ask_all_ways(rpc: Rpc) -> list[EtdbError]:
    """The errors of one call and of a batch of two."""
    errors = []
    for ask in (
        lambda: rpc.call("getblockcount"),
        lambda: rpc.batch([("getblockcount",), ("getbestblockhash",)]),
    ):
        with pytest.raises(EtdbError) as caught:
            ask()
        errors.append(caught.value)
    return errors


def test_one_call_has_its_result(daemon: FakeDaemon, rpc: Rpc) -> None:
    assert rpc.call("getblockcount") == 110
    assert rpc.call("getblockhash", 110) == daemon.chain.tip().hash


def test_a_batch_is_one_request_answered_in_order(daemon: FakeDaemon, rpc: Rpc) -> None:
    heights = [3, 1, 2, 3]

    hashes = rpc.batch([("getblockhash", height) for height in heights])

    assert hashes == [daemon.chain.blocks[h].header.hash for h in heights]
    assert len(daemon.requests) == 1


def test_answers_of_a_batch_are_told_apart_by_their_ids(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("shuffled")]

    assert rpc.batch([("getblockcount",), ("getblockhash", 0)]) == [
        110,
        daemon.chain.blocks[0].header.hash,
    ]


def test_no_calls_are_no_request(daemon: FakeDaemon, rpc: Rpc) -> None:
    assert rpc.batch([]) == []
    assert daemon.requests == []


def test_a_refusal_is_among_the_results_of_a_batch(rpc: Rpc) -> None:
    known, unknown = rpc.batch([("getblockcount",), ("getblockhash", 111)])

    assert known == 110
    assert unknown == Refusal(-8, "Block height out of range")


def test_a_refusal_of_one_call_is_an_error_with_the_daemons_words(rpc: Rpc) -> None:
    with pytest.raises(UnavailableError, match="out of range") as caught:
        rpc.call("getblockhash", 111)

    assert caught.value.facts == {
        "rpc_code": -8,
        "rpc_message": "Block height out of range",
    }
    assert rpc.ask("getblockhash", 111) == Refusal(-8, "Block height out of range")


def test_a_daemon_that_is_starting_is_to_be_asked_later(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("warming")]

    with pytest.raises(UnavailableError) as caught:
        rpc.call("getblockcount")

    assert "it is starting" in caught.value.hint


def test_a_reply_that_is_lost_is_said_in_plain_words(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("lost")]

    with pytest.raises(UnavailableError, match="ended before the answer did"):
        rpc.call("getblockcount")


def test_an_unknown_method_is_a_refusal_too(rpc: Rpc) -> None:
    refusal = rpc.ask("getflodata")

    assert isinstance(refusal, Refusal)
    assert refusal.code == -32601


def test_a_refusal_in_words_that_a_terminal_would_obey_is_made_plain(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("refuse", at=-1, value="\x1b[2Jno\n" + "x" * 1_000)]

    refusal = rpc.ask("getblockcount")

    assert isinstance(refusal, Refusal)
    assert refusal.message.isprintable()
    assert len(refusal.message) == 300


@pytest.mark.parametrize("status", [401, 403])
def test_a_login_that_is_not_accepted_names_the_settings(
    daemon: FakeDaemon, rpc: Rpc, status: int
) -> None:
    daemon.faults = [Fault("status", at=status)]

    for error in ask_all_ways(rpc):
        assert isinstance(error, NotAllowedError)
        assert "ledger.user" in error.hint
        assert "ledger.password_file" in error.hint


def test_a_wrong_password_is_in_no_error_and_no_repr(daemon: FakeDaemon) -> None:
    secret = "s3cret-and-wrong"
    with Rpc(daemon.url, USER, secret) as rpc:
        for error in ask_all_ways(rpc):
            assert isinstance(error, NotAllowedError)
            assert secret not in f"{error!r}{error.hint}{error.facts}"
        assert secret not in repr(rpc)
        assert USER not in repr(rpc)


def test_a_login_in_the_address_is_used_and_not_shown(daemon: FakeDaemon) -> None:
    secret = PASSWORD.replace(" ", "%20")
    url = daemon.url.replace("//", f"//{USER}:{secret}@")
    with Rpc(url) as rpc:
        assert rpc.call("getblockcount") == 110
        daemon.faults = [Fault("html", at=500)]
        for error in ask_all_ways(rpc):
            assert secret not in error.message
            assert PASSWORD not in error.message
        assert secret not in repr(rpc)


FAULTS = {
    "no page": Fault("status", at=404),
    "status 500 without a body": Fault("status", at=500),
    "status 503 without a body": Fault("status", at=503),
    "a redirect": Fault("status", at=302),
    "HTML": Fault("html", at=200),
    "HTML of status 500": Fault("html", at=500),
    "half a body": Fault("half"),
    "a connection that ends in the body": Fault("torn"),
    "bytes that are no text": Fault("garbage"),
    "JSON nested beyond measure": Fault("garbage", value=b"[" * 200_000),
    "JSON that is no answer": Fault("bare"),
    "an answer without an id": Fault("garbage", value=b'{"error":{"message":"no"}}'),
    "a number beyond measure": Fault("garbage", value=b'{"id":' + b"9" * 9_999),
    "an answer to something else": Fault("foreign"),
    "each answer twice": Fault("twice"),
    "a daemon that is starting": Fault("warming"),
    "a connection that ends without an answer": Fault("lost"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_else_is_wrong_is_unavailable(
    daemon: FakeDaemon, rpc: Rpc, name: str
) -> None:
    daemon.faults = [FAULTS[name]]

    for error in ask_all_ways(rpc):
        assert type(error) is UnavailableError
        assert daemon.url.removeprefix("http://") in error.message

    daemon.faults = []
    assert rpc.call("getblockcount") == 110


def test_a_connection_that_ended_unheard_is_made_anew(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    """As where a daemon closes an idle one just as the next call comes."""
    rpc.call("getblockcount")
    daemon.faults = [Fault("lost", times=1)]

    assert rpc.call("getblockcount") == 110
    assert len(daemon.requests) == 3


def test_an_answer_beyond_the_limit_is_not_read(daemon: FakeDaemon) -> None:
    daemon.faults = [Fault("huge", at=8 * 1024 * 1024)]
    with Rpc(daemon.url, *LOGIN, max_answer_bytes=100_000) as rpc:
        for error in ask_all_ways(rpc):
            assert type(error) is UnavailableError
            assert error.facts["limit_bytes"] == 100_000


def test_below_the_limit_the_same_answer_is_read_and_is_not_json(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("huge", at=1024 * 1024)]

    for error in ask_all_ways(rpc):
        assert "limit_bytes" not in error.facts


def test_a_daemon_that_says_nothing_is_given_up(daemon: FakeDaemon) -> None:
    daemon.faults = [Fault("stalled")]
    with Rpc(daemon.url, *LOGIN, timeout_s=0.05) as rpc:
        for error in ask_all_ways(rpc):
            assert type(error) is UnavailableError


class Dripper:
    """Answers one request 7, in good time or not: drop by drop."""

    def __init__(self, before: bytes, drop: bytes, after: bytes = b"") -> None:
        body = b'{"id": 1, "error": null, "result": 7}'
        end = b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        self._parts = (before, drop, after + end)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve)
        self._pause = threading.Event()
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.drops = 0
        """How many were sent before the client went away."""

    def __enter__(self) -> Dripper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        self._server.close()

    def _serve(self) -> None:
        before, drop, after = self._parts
        connection, _ = self._server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            connection.sendall(before)
            while self.drops < DROPS:
                connection.sendall(drop)
                self.drops += 1
                self._pause.wait(0.01)
            connection.sendall(after)


DROPS = 150
OK = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "in a header's line": lambda: Dripper(OK + b"X: ", b"x", b"\r\n"),
    "in a header of many lines": lambda: Dripper(OK + b"X: x\r\n", b" x\r\n"),
    "in interim answers": lambda: Dripper(b"", b"HTTP/1.1 100 Continue\r\n\r\n", OK),
    "in the body": lambda: Dripper(
        OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"
    ),
}


@pytest.mark.parametrize("where", DRIPS)
def test_a_daemon_that_drips_is_given_up(where: str) -> None:
    """Never silent for long, and never done."""
    with (
        DRIPS[where]() as dripper,
        Rpc(dripper.url, answer_s=0.1) as rpc,
        pytest.raises(UnavailableError, match="slow"),
    ):
        rpc.call("getblockcount")

    assert dripper.drops < DROPS


@pytest.mark.parametrize("where", ["in a header's line", "in interim answers"])
def test_without_the_guard_such_a_daemon_holds_us_to_its_end(
    monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """The twin: the timeouts of sockets are not enough."""
    monkeypatch.setattr("etdb.ledger.flo.rpc.guard", lambda pool: None)
    with DRIPS[where]() as dripper, Rpc(dripper.url, answer_s=0.1) as rpc:
        assert rpc.call("getblockcount") == 7

    assert dripper.drops == DROPS


def test_a_connection_that_was_hurried_serves_the_next_call(rpc: Rpc) -> None:
    """What was left for one answer is no limit for another."""
    assert [rpc.call("getblockcount") for _ in range(3)] == [110] * 3


UNFOLDING = {
    "objects": b"[" + b"{}," * 300_000 + b"{}]",
    "numbers": b"[" + b"1.5," * 300_000 + b"1]",
    "a long text with one odd character": b'["'
    + b"a" * 3_000_000
    + b'\\ud83d\\ude00"]',
}


def refusal_bytes(rpc: Rpc) -> int:
    """The most memory held at once while an answer is refused."""

    def refuse() -> None:
        with pytest.raises(UnavailableError):
            rpc.batch([("getblock", "00" * 32, 0)])

    return peak_bytes(refuse)


@pytest.mark.parametrize("name", UNFOLDING)
def test_an_answer_that_would_unfold_is_not_parsed(
    daemon: FakeDaemon, rpc: Rpc, name: str
) -> None:
    daemon.faults = [Fault("garbage", value=UNFOLDING[name])]

    assert refusal_bytes(rpc) < 4 * len(UNFOLDING[name])


@pytest.mark.parametrize("name", UNFOLDING)
def test_without_the_bounds_it_takes_many_times_its_size(
    daemon: FakeDaemon, rpc: Rpc, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The twin."""
    monkeypatch.setattr("etdb.ledger.flo.rpc._Bounds.is_kept", lambda *_: True)
    daemon.faults = [Fault("garbage", value=UNFOLDING[name])]

    assert refusal_bytes(rpc) > 6 * len(UNFOLDING[name])


def test_only_answers_with_blocks_or_the_mempool_may_be_long(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    daemon.faults = [Fault("huge", at=2 * 1024 * 1024)]

    for error in ask_all_ways(rpc):
        assert error.facts["limit_bytes"] == 1024 * 1024
    for method in ("getblock", "getrawmempool"):
        with pytest.raises(UnavailableError) as caught:
            rpc.call(method)
        assert "limit_bytes" not in caught.value.facts


def test_a_long_mempool_is_read_and_such_a_list_is_nothing_else(
    daemon: FakeDaemon, rpc: Rpc
) -> None:
    txids = [f"{number:064x}" for number in range(20_000)]
    daemon.faults = [Fault("lie", value=txids)]

    assert rpc.call("getrawmempool") == txids
    with pytest.raises(UnavailableError, match="structure"):
        rpc.call("getblock", "00" * 32, 0)


def test_a_daemon_that_is_not_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    with Rpc(url, *LOGIN) as rpc:
        for error in ask_all_ways(rpc):
            assert type(error) is UnavailableError
            assert "ledger.url" in error.hint


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:7313", "ftp://there:1", "http://:1", "http://u:pw@x:99999"]
)
def test_what_is_no_address_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(InvalidDataError) as caught:
        Rpc(url)

    assert "pw" not in str(caught.value)
    assert "ledger.url" in caught.value.hint


def test_many_threads_share_one_daemon(daemon: FakeDaemon, rpc: Rpc) -> None:
    with ThreadPoolExecutor(8) as pool:
        hashes = pool.map(lambda height: rpc.call("getblockhash", height), range(50))

    assert list(hashes) == [block.header.hash for block in daemon.chain.blocks[:50]]
