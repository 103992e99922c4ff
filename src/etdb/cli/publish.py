"""`etdb publish`: show what a folder would say, and publish it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from etdb.cli.options import (
    JsonOption,
    NodeOption,
    YesOption,
    given_path,
    open_node,
)
from etdb.cli.publication import Publication
from etdb.cli.terminal import say
from etdb.errors import InvalidDataError

Text = str | None


def publish(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="PATH...",
            help="Folders, one dataset each, or files.",
            parser=given_path,
        ),
    ] = None,
    title: Annotated[Text, typer.Option(help="Title; without it, the species.")] = None,
    species: Annotated[Text, typer.Option(help="Species, its scientific name.")] = None,
    strain: Annotated[Text, typer.Option(help="Strain.")] = None,
    taxid: Annotated[int | None, typer.Option(help="NCBI taxonomy id.")] = None,
    date: Annotated[
        Text, typer.Option(help="Day of acquisition, as 2026-03-14.")
    ] = None,
    microscopist: Annotated[
        Text, typer.Option(help="Person who took the data.")
    ] = None,
    microscope: Annotated[Text, typer.Option(help="Microscope.")] = None,
    notes: Annotated[Text, typer.Option(help="Notes, any length.")] = None,
    sid: Annotated[
        Text,
        typer.Option(
            help="Lab's own id of the dataset; without it, the folder's name."
        ),
    ] = None,
    defocus: Annotated[
        float | None, typer.Option(help="Defocus in µm; negative is underfocus.")
    ] = None,
    dose: Annotated[float | None, typer.Option(help="Total dose in e⁻/Å².")] = None,
    license: Annotated[
        Text, typer.Option(help="Licence, as SPDX id; without it, the node's.")
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="FIELD=VALUE",
            help="Any other key of dataset.toml (docs/dataset.md); repeatable.",
        ),
    ] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE=ROLE",
            help="Role of a file, where the guess is wrong; repeatable.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Hash and show; sign and send nothing.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Only finish what was interrupted.")
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until blocks hold what was sent.")
    ] = False,
    yes: YesOption = False,
    node: NodeOption = None,
    json: JsonOption = False,
) -> None:
    """Publish datasets: one folder, one dataset. Files stay where they are.

    What the headers of MRC and mdoc files say is taken from them; dataset.toml
    beside the files and options say the rest. The same command again goes on
    where it was stopped, and does nothing for what is already published; a
    dataset that has changed since is published as an edit of its record.

    \b
    Examples:
        etdb publish data/vc2026-03-14 --species "Vibrio cholerae" --date 2026-03-14
        etdb publish data/* --yes
        etdb publish data/vc2026-03-14 --dry-run
        etdb publish data/ts1 --set camera="K3" --role ts1_x.mrc=reconstruction
        etdb publish --resume --wait
    """
    options = _options(
        {
            "title": title,
            "species": species,
            "strain": strain,
            "taxid": taxid,
            "date": date,
            "microscopist": microscopist,
            "microscope": microscope,
            "notes": notes,
            "sid": sid,
            "defocus": defocus,
            "dose": dose,
            "license": license,
        },
        set_ or [],
        role or [],
    )
    if bool(paths) == resume:
        msg = "name folders or files to publish, or --resume alone"
        raise typer.BadParameter(msg)
    with open_node(node) as opened, opened.publishing():
        run = Publication(opened, is_json=json)
        was_open = run.show_open() if dry_run else run.resume()
        if resume and not was_open:
            say("nothing is left to finish")
        if paths:
            run.publish(paths, options, is_dry=dry_run, assume_yes=yes)
        if wait and not dry_run:
            run.wait()
        run.report()


def _options(
    named: dict[str, Any], pairs: Sequence[str], roles: Sequence[str]
) -> dict[str, Any]:
    options = {key: value for key, value in named.items() if value is not None}
    options |= dict(map(parse_field, pairs))
    files = {name: {"role": role} for name, role in map(_parse_role, roles)}
    return options | ({"files": files} if files else {})


def parse_field(text: str) -> tuple[str, str]:
    """Field and value of `--set FIELD=VALUE`. Raises InvalidDataError."""
    field, equals, value = text.partition("=")
    if not field or not equals:
        raise _no_pair("--set", text)
    return field, value


def _parse_role(text: str) -> tuple[str, str]:
    """File and role of `--role FILE=ROLE`; a file's name may hold more of them."""
    name, equals, role = text.rpartition("=")
    if not name or not equals:
        raise _no_pair("--role", text)
    return name, role


def _no_pair(option: str, text: str) -> InvalidDataError:
    msg = f"{option} {text!r} is not of the form NAME=VALUE"
    return InvalidDataError(msg)
