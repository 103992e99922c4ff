"""Which files of a folder are published, and which folders are refused."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from etdb.errors import InvalidDataError, NotFoundError, UnavailableError
from etdb.lab.tree import list_files


def names_in(folder: Path) -> list[str]:
    return [file.name for file in list_files(folder)]


def test_files_are_named_by_their_path_in_the_folder_in_order(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ts.st").write_bytes(b"1234")
    (tmp_path / "a.rec").write_bytes(b"12")

    found = list_files(tmp_path)

    assert [(file.name, file.size_bytes) for file in found] == [
        ("a.rec", 2),
        ("raw/ts.st", 4),
    ]


def test_dot_files_and_the_settings_are_left_out(tmp_path: Path) -> None:
    for name in (".hidden", "dataset.toml", "a.rec"):
        (tmp_path / name).touch()
    (tmp_path / ".etdb").mkdir()
    (tmp_path / ".etdb" / "record.json").touch()

    assert names_in(tmp_path) == ["a.rec"]


def test_a_single_file_is_a_dataset(tmp_path: Path) -> None:
    file = tmp_path / "a.rec"
    file.write_bytes(b"12")

    assert names_in(file) == ["a.rec"]


def test_an_absent_folder_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="nowhere"):
        list_files(tmp_path / "nowhere")


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "dataset.toml").touch()

    with pytest.raises(InvalidDataError, match="no files to publish"):
        list_files(tmp_path)


def test_a_folder_of_datasets_is_refused(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.rec").touch()
    (tmp_path / "one" / "dataset.toml").touch()

    with pytest.raises(InvalidDataError, match="one/ is a dataset of its own"):
        list_files(tmp_path)


def test_a_named_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.rec")

    with pytest.raises(InvalidDataError, match=r"pipe\.rec is a named pipe"):
        list_files(tmp_path)


def test_a_named_pipe_by_itself_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.rec")

    with pytest.raises(InvalidDataError, match="a named pipe"):
        list_files(tmp_path / "pipe.rec")


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the whole path is too long for a socket's name
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("live")

        with pytest.raises(InvalidDataError, match="live is a socket"):
            list_files(tmp_path)


def test_a_device_is_refused() -> None:
    with pytest.raises(InvalidDataError, match="null is a device"):
        list_files(Path("/dev/null"))


def test_a_link_inside_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / ".annex").mkdir()
    (tmp_path / ".annex" / "data").write_bytes(b"123")
    (tmp_path / "a.rec").symlink_to(".annex/data")

    (file,) = list_files(tmp_path)

    assert (file.name, file.size_bytes) == ("a.rec", 3)
    assert file.path == (tmp_path / ".annex" / "data").resolve()


def test_a_linked_folder_inside_is_followed(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "ts.st").touch()
    (tmp_path / "same").symlink_to("raw")

    assert names_in(tmp_path) == ["raw/ts.st", "same/ts.st"]


@pytest.mark.parametrize("target", ["../secret", "../folder2", "/etc/hostname"])
def test_a_link_out_of_the_folder_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "folder2").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.rec").symlink_to(target)

    with pytest.raises(InvalidDataError, match=r"a\.rec is a link out of the folder"):
        list_files(tmp_path / "folder")


def test_without_the_check_a_link_out_of_the_folder_would_be_read(
    tmp_path: Path,
) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "a.rec").symlink_to("../secret")

    reached = (tmp_path / "folder" / "a.rec").read_text()

    assert reached == "secret"


def test_a_dangling_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.rec").symlink_to("gone")

    with pytest.raises(InvalidDataError, match=r"a\.rec is a link that leads nowhere"):
        list_files(tmp_path)


@pytest.mark.parametrize("target", [".", "b.rec", "../folder"])
def test_a_link_in_a_circle_is_refused(tmp_path: Path, target: str) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "b.rec").symlink_to(target)

    with pytest.raises(InvalidDataError, match=r"b\.rec is a link"):
        list_files(folder)


@pytest.mark.parametrize(
    "name",
    [
        "two words.rec",
        'it\'s "quoted".rec',
        "..rec",
        "a..b",
        "Größe-μ-断層.rec",
        "back\\slash.rec",
        "narrow\u202fspace.png",
        "100%.rec",
    ],
)
def test_unusual_names_are_welcome(tmp_path: Path, name: str) -> None:
    name = name if not name.startswith(".") else "a" + name
    (tmp_path / name).touch()

    assert names_in(tmp_path) == [name]


@pytest.mark.parametrize("name", ["new\nline.rec", "bell\a", "esc\x1b[2J", "p\u2028"])
def test_control_characters_and_line_breaks_are_refused(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).touch()

    with pytest.raises(InvalidDataError, match="control character or line break"):
        list_files(tmp_path)


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"\xe9t\xe9.rec")).touch()

    with pytest.raises(InvalidDataError, match="is not UTF-8") as caught:
        list_files(tmp_path)

    assert caught.value.message.isprintable()


def test_an_unreadable_file_is_named(as_other_user: Path) -> None:
    (as_other_user / "a.rec").touch(mode=0o000)

    with pytest.raises(
        UnavailableError, match=r"cannot read a\.rec: Permission denied"
    ):
        list_files(as_other_user)


def test_an_unreadable_folder_is_named(as_other_user: Path) -> None:
    (as_other_user / "raw").mkdir(mode=0o000)

    with pytest.raises(UnavailableError, match="raw: Permission denied"):
        list_files(as_other_user)
