"""`etdb withdraw`: for good, with a reason, and once."""

from __future__ import annotations

import os
import pty
import subprocess
from pathlib import Path
from typing import Any


def answer(lab: Any, text: str, *words: object) -> str:
    """What `etdb` prints when a person at a terminal types an answer."""
    main, terminal = pty.openpty()
    process = subprocess.Popen(
        lab.command(*words),
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=lab.environ,
    )
    os.close(terminal)
    os.write(main, text.encode())
    said, _ = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0, said
    return said


def test_a_withdrawal_says_that_it_is_for_good_and_waits_for_yes(
    lab: Any, record_id: str
) -> None:
    words = ("withdraw", record_id[:8], "--why", "wrong sample")

    refused = answer(lab, "n\n", *words)
    assert lab.ok("search", "--json").json["total"] == 1
    done = answer(lab, "y\n", *words)

    assert "for good" in refused
    assert "nothing was sent" in refused
    assert f"withdrawn for good: {record_id}" in done
    assert lab.ok("search", "--json").json["total"] == 0
    shown = lab.ok("show", record_id, "--json").json
    assert shown["withdrawn"]["reason"] == "wrong sample"


def test_a_withdrawn_record_is_not_edited_withdrawn_again_fetched_or_verified(
    lab: Any, record_id: str, tmp_path: Path
) -> None:
    lab.ok("withdraw", record_id, "--why", "wrong", "--yes", "--json")

    for words in (
        ("withdraw", record_id, "--why", "again", "--yes"),
        ("edit", record_id, "--set", "strain=x", "--yes"),
        ("get", record_id, "-o", tmp_path / "got"),
        ("verify", record_id),
    ):
        done = lab.run(*words)
        assert done.status == 6
        assert "withdrawn" in done.errors


def test_a_withdrawal_needs_a_reason(lab: Any, record_id: str) -> None:
    assert lab.run("withdraw", record_id, "--yes").status == 2
    assert lab.run("withdraw", record_id, "--why", " ", "--yes").status == 3
