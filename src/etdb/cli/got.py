"""What `etdb get` prints: plans, and what became of each file and source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from etdb.cli.terminal import (
    SomeFailed,
    count,
    human_size,
    say,
    show,
    show_json,
    show_table,
)
from etdb.client.download import DownloadPlan, FileResult, Outcome
from etdb.client.look import SourceLook, SourceState
from etdb.errors import EtdbError

Done = Sequence[tuple[DownloadPlan, Outcome]]
Troubles = Mapping[str, EtdbError]


def show_plans(
    plans: Sequence[DownloadPlan], troubles: Troubles, *, is_json: bool
) -> None:
    """What would be fetched, file by file; raises SomeFailed for troubles."""
    if is_json:
        records = [
            {
                "id": one.record["id"],
                "folder": str(one.folder),
                "total_bytes": one.total_bytes,
                "have_bytes": one.have_bytes,
                "files": [
                    {"name": f.name, "size_bytes": f.size_bytes, "cid": str(f.cid)}
                    for f in one.files
                ],
            }
            for one in plans
        ]
        show_json({"records": records, "troubles": _told(troubles)})
    else:
        show_table(
            ("folder", "size", "file"),
            (
                (str(one.folder), human_size(f.size_bytes), f.name)
                for one in plans
                for f in one.files
            ),
        )
    _say_troubles(troubles)
    if troubles:
        raise SomeFailed


def report(done: Done, troubles: Troubles, *, is_json: bool, is_query: bool) -> None:
    """The summary of everything; raises SomeFailed where something failed.

    As JSON what a query found is a list, however many they are.
    """
    results = [(one, file) for one, outcome in done for file in outcome.files]
    failed = [file for _, file in results if file.error is not None]
    sources = list(_sum_sources(done))
    if is_json:
        records = _records_json(done)
        shown = {"records": records} if is_query else records[0]
        show_json({**shown, **_summary_json(sources, troubles, len(failed))})
    else:
        show_table(
            ("file", "size", "done", "verified", "source"),
            (_row(one, file, len(done)) for one, file in results),
        )
    for file in failed:
        assert file.error is not None
        say(f"failed: {file.name}: {file.error.message}")
    _say_sources(sources)
    _say_troubles(troubles)
    if failed or troubles:
        if failed:
            files = count(len(results), "file")
            say(f"{len(failed)} of {files} failed; repeat to go on")
        raise SomeFailed
    if not is_json:
        where = done[0][0].folder if len(done) == 1 else count(len(done), "folder")
        show(f"all {count(len(results), 'file')} verified in {where}")


def _row(one: DownloadPlan, file: FileResult, of: int) -> tuple[str, ...]:
    name = file.name if of == 1 else f"{one.folder}/{file.name}"
    verified = "no" if file.error is not None else "yes"
    source = ", ".join(file.sources) or "-"
    return name, human_size(file.size_bytes), file.state, verified, source


def _sum_sources(done: Done) -> Iterator[SourceLook]:
    """Each source once: its bytes in all, and the worst that was seen of it."""
    order = (SourceState.DROPPED, SourceState.FAILING, SourceState.OK)
    by_name: dict[str, list[SourceLook]] = {}
    for _, outcome in done:
        for told in outcome.sources:
            by_name.setdefault(told.name, []).append(told)
    for name, told_of in by_name.items():
        worst = min(told_of, key=lambda one: order.index(one.state))
        given = sum(one.given_bytes for one in told_of)
        yield SourceLook(name, given, worst.state, worst.error)


def _say_sources(sources: Sequence[SourceLook]) -> None:
    for one in sources:
        if one.state is SourceState.DROPPED and one.error is not None:
            say(f"dropped: {one.name}: {one.error.message}")
    if len(sources) > 1:
        given = (f"{one.name} {human_size(one.given_bytes)}" for one in sources)
        say(f"sources: {', '.join(given)}")


def _say_troubles(troubles: Troubles) -> None:
    for record_id, error in troubles.items():
        say(f"failed: record {record_id[:12]}: {error.message}")


def _records_json(done: Done) -> list[dict[str, object]]:
    return [
        {
            "id": one.record["id"],
            "folder": str(one.folder),
            "files": [_file_json(file) for file in outcome.files],
        }
        for one, outcome in done
    ]


def _summary_json(
    sources: Sequence[SourceLook], troubles: Troubles, failed: int
) -> dict[str, object]:
    told = [
        {
            "name": one.name,
            "given_bytes": one.given_bytes,
            "state": one.state,
            "error": None if one.error is None else one.error.message,
        }
        for one in sources
    ]
    return {"sources": told, "failed": failed, "troubles": _told(troubles)}


def _file_json(file: FileResult) -> dict[str, object]:
    return {
        "name": file.name,
        "size_bytes": file.size_bytes,
        "state": file.state,
        "sources": list(file.sources),
        "error": None if file.error is None else file.error.message,
    }


def _told(troubles: Troubles) -> dict[str, str]:
    return {record_id: error.message for record_id, error in troubles.items()}
