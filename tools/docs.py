"""Write the reference pages of `docs/` from the code they describe.

With `--check` nothing is written, and a page that is not current is a failure;
with `--check-links` every link between the texts is followed as well.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from etdb.cli import EXIT_CODES, EXIT_MEANINGS, command_names
from etdb.errors import EtdbError
from etdb.lab.header import mdoc_fields
from etdb.lab.mapping import EXTRA_ROLES, FILE_KEYS, SETTABLE
from etdb.lab.role import guess_role
from etdb.microscopy.mdoc import MdocSummary
from etdb.record.model import FieldSpec, Role
from etdb.settings import rows, toml_value
from etdb.web.present import GROUPS
from etdb.web.problem import STATUS

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

DOWNLOADS = ("-c", "from etdb.cli.downloads import main; main()")

KEY_NOTES = {
    "title": "required",
    "species": "the full scientific name; required",
    "date": "day of acquisition, as `2026-03-14`; required",
    "tags": "words with commas between them",
    "taxid": "as in the NCBI Taxonomy database",
    "axes": "`1`: single-axis, `2`: dual-axis",
    "tilt_constant": "`1`: the same step between all images, `0`: not",
    "tilt_axis": "angle of the tilt axis in the image",
    "tilt_scheme": "such as `dose-symmetric` or `bidirectional`",
    "dose": "of the whole tilt series",
    "defocus": "nominal; negative is underfocus",
    "pixel_size": "of the tilt series",
    "voxel_size": "of the tomogram",
    "quality": "`1` (lowest) to `5`, as in the CZ CryoET Data Portal",
    "license": "SPDX identifier, such as `CC0-1.0`",
    "ror": "ROR id of the institution, without `https://ror.org/`",
    "emdb": "accession code, such as `EMD-1234`",
    "authors": "of each: `name`, `orcid`, `role`",
    "related": "DOIs, EMDB, EMPIAR, PDB and CZ entries: `id` and `relation` of each",
    "roles": "who did what, as free text",
    "sid": "one for each dataset of a lab: a changed folder with the same one is "
    "published as an edit of its record",
    "heirs": "addresses; they cannot be changed once the record is published",
}
"""What a key's label and unit do not say."""
KEY_VALUES = {
    "date": "date",
    "heirs": "list, or text with commas",
    "authors": "list of tables",
    "related": "list of tables",
}
"""The kinds of value that `FIELDS` does not tell apart."""
KEY_SOURCES = {
    "title": "the species",
    "description": '"Electron tomography of", species, strain',
    "tags": "`etdb,tomogram,electron.tomography`",
    "sid": "the folder's name",
    "lab": "setting `lab.name`",
    "institution": "setting `lab.institution`",
    "license": "setting `lab.license`",
    "heirs": "setting `lab.heirs`",
    "pixel_size": "MRC header of the tilt series",
    "voxel_size": "MRC header of the tomogram",
    "tilt_min": "`.tlt`, `.rawtlt`",
    "tilt_max": "`.tlt`, `.rawtlt`",
    "tilt_step": "`.tlt`, `.rawtlt`",
}
"""Where a key's value comes from if nobody gives it; mdoc files come before."""
FILE_KEY_NOTES = {
    "role": "what the file is (below)",
    "software": "what made it, if it is not what the record says",
    "notes": "anything else about the file",
    "pixel_size": "pixel spacing in Å, if it differs from the header's",
    "voxel_size": "voxel spacing in Å, if it differs from the header's",
}
ROLE_NOTES = {
    Role.TILT_SERIES: "tilt series, raw or aligned",
    Role.RECONSTRUCTION: "tomogram",
    Role.SUBVOLUME: "part of a tomogram, or a subtomogram average",
    Role.KEYMOV: "movie that stands for the dataset",
    Role.KEYIMG: "picture that stands for the dataset; where there is none it is made "
    "from the tomogram, or else from the tilt series",
    Role.PREVIEW: "other movie",
    Role.SNAPSHOT: "other picture",
    Role.THUMBNAIL: "small form of the key image",
    Role.OTHER: "anything else: mdoc, tilt angles, alignments, frames, documents",
    "segmentation": "segmentation of a tomogram",
    "correlative": "data of another method, such as fluorescence images",
    "annotation": "positions or labels of particles and structures",
}
FILE_NAMES = (
    "ts-042.st",
    "ts-042.mrcs",
    "tilts/ts-042.mrc",
    "ts-042.rec",
    "rec/ts-042.mrc",
    "subvol_1.mrc",
    "keymov_ts-042.mp4",
    "keyimg_ts-042.jpg",
    "preview.mp4",
    "overview.png",
    "keyimg_ts-042_s.jpg",
    "ts-042.st.mdoc",
    "ts-042.rawtlt",
    "frames/042.mrc",
)
"""Typical names, shown beside the role that they are taken for."""
DATASET_EXAMPLE = """\
title = "Vibrio cholerae with a polar flagellum"
description = "Whole cells, plunge-frozen in growth medium"
tags = "flagellum,motor"
notes = "Ice about 300 nm thick."
date = 2026-03-14

species = "Vibrio cholerae"
strain = "O395"
taxid = 666
sample_preparation = "grown to OD 0.6 in LB, concentrated twofold"
grid_preparation = "plunge-frozen in ethane on Quantifoil R2/2"

# If there is an mdoc beside the tilt series, most of this block is read from it.
axes = 1
tilt_min = -60
tilt_max = 60
tilt_step = 2
tilt_constant = 1
tilt_axis = 85.3
tilt_scheme = "dose-symmetric"
dose = 120
defocus = -6
magnification = 42000
pixel_size = 2.1
acquisition = "SerialEM"

microscope = "Titan Krios"
voltage = 300
spherical_aberration = 2.7
camera = "K3"
energy_filter = "BioQuantum, 20 eV slit"
phase_plate = "none"

voxel_size = 8.4
alignment = "IMOD, patch tracking"
reconstruction = "IMOD 4.11"
reconstruction_method = "weighted back-projection"
quality = 4

sid = "ts-042"
lab = "Our lab"
institution = "Our institute"
ror = "05dxps055"
microscopist = "Name Surname"
authors = [{ name = "Name Surname", orcid = "0000-0000-0000-0000", role = "data" }]
roles = "Name Surname: sample, data, reconstruction"
license = "CC0-1.0"
emdb = "EMD-1234"
related = [{ id = "10.1371/journal.pone.0215531", relation = "is described by" }]
heirs = ["oTxnqYD9jEafftfJ2q5Zf198hXUBc7Ndfj"]

[files."rec/ts-042_bin4.mrc"]
role = "reconstruction"
software = "IMOD 4.11"
voxel_size = 8.4

[files."ts-042.mrc"]
role = "tiltSeries"
pixel_size = 2.1

[files."membranes.mrc"]
role = "segmentation"
notes = "traced by hand"
"""
DATASET_HEAD = (
    "# `dataset.toml`",
    "",
    "A dataset is one folder: a tilt series, its tomograms, and what belongs to",
    "them. `etdb publish FOLDER` reads what the headers of MRC and mdoc files say;",
    "a file `dataset.toml` in the folder says the rest. It is plain text in",
    "[TOML](https://toml.io) and is never published itself. Title, species and date",
    "must be known from one of the sources below; every other key may be left out.",
    "",
    "If several sources give the same key, the later of these counts: the node's",
    "settings, the headers, `dataset.toml`, the options of `etdb publish`. Each key",
    "but `authors` and `related` is also an option: `--species`, `--date` and the",
    'like, or `--set KEY=VALUE`. An empty text, as in `magnification = ""`, says that',
    "a value is unknown even where a header states one. An unknown key, file or role",
    "and a value of the wrong kind are refused before anything is signed.",
    "",
    "`etdb publish FOLDER --dry-run` shows what the record would say.",
    "",
    "## Example",
    "",
    "Every key that there is; most datasets need five or six of them.",
    "",
)
DATASET_KEYS_HEAD = (
    '"if not given" says where a value comes from that you do not give; where nothing',
    'is said, the field is left out of the record. "in JSON" is the name of the field',
    "in the [API](api.md). How fields are written in the signed record is in section",
    "1.3 of [protocol.md](protocol.md).",
)
KEY_COLUMNS = (
    "| key | value | meaning | if not given | in JSON |",
    "|---|---|---|---|---|",
)
DATASET_FILES_HEAD = (
    'A table `[files."NAME"]` says more about one file. NAME is its path below the',
    "folder, with `/`. Files without a table are published all the same; files whose",
    "names begin with a dot are not.",
)
DATASET_ROLES_HEAD = (
    "The role of a file is guessed from its name, and of an MRC file also from its",
    "header and from the mdoc or tilt angles beside it. `--dry-run` shows each guess;",
    "a wrong one is put right here, or by `--role NAME=ROLE`.",
)


def settings_page() -> str:
    """`docs/settings.md`: the table of settings."""
    lines = [
        "# Settings",
        "",
        "A node reads `etdb.toml` in its folder, then the environment, then flags;",
        "the later wins. `etdb config` shows what is in force. An unknown key or a",
        "value of the wrong type stops the program with exit status 7.",
        "",
        "| setting | default | environment | meaning |",
        "|---|---|---|---|",
    ]
    for row in rows():
        unit = f" Unit: {row.unit}." if row.unit else ""
        lines.append(
            f"| `{row.key}` | `{toml_value(row.default)}` | `{row.variable}` "
            f"| {row.sentence}{unit} |"
        )
    return "\n".join(lines) + "\n"


def commands_page() -> str:
    """`docs/commands.md`: each command's own help, and the exit statuses."""
    lines = [
        "# Commands",
        "",
        "Each section is what `--help` prints. Results go to standard output,",
        "progress and questions to standard error.",
        "",
        "## Exit statuses",
        "",
        "| status | meaning | error (`code` of the API, HTTP status) |",
        "|---|---|---|",
    ]
    for status, meaning in EXIT_MEANINGS.items():
        names = [
            f"`{error.__name__}` (`{error.code}`, {STATUS[error]})"
            for error, code in EXIT_CODES.items()
            if code == status and error is not EtdbError
        ]
        lines.append(f"| {status} | {meaning} | {', '.join(names)} |")
    for name in ["", *command_names()]:
        title = f"etdb {name}".strip()
        lines += ["", f"## {title}", "", "```", help_of(name), "```"]
    lines += ["", "## etdb-downloads", "", "```", _help_said(DOWNLOADS), "```"]
    return "\n".join(lines) + "\n"


def dataset_page() -> str:
    """`docs/dataset.md`: the keys of `dataset.toml`, units and roles."""
    grouped = [
        (title, [name.rstrip("*") for name in names.split()])
        for title, names in GROUPS.items()
    ]
    specs = {spec.name: spec for spec in SETTABLE.values()}
    named = {name for _, names in grouped for name in names}
    lines = [*DATASET_HEAD, "```toml", *DATASET_EXAMPLE.splitlines(), "```", ""]
    lines += ["## Keys", "", *DATASET_KEYS_HEAD]
    for title, names in [("Dataset", [n for n in specs if n not in named]), *grouped]:
        lines += ["", f"### {title}", "", *KEY_COLUMNS]
        lines += [key_row(specs[name]) for name in names if name in specs]
    lines += [
        "",
        "## Files",
        "",
        *DATASET_FILES_HEAD,
        "",
        "| key | meaning |",
        "|---|---|",
    ]
    lines += [f"| `{key}` | {FILE_KEY_NOTES[key]} |" for key in FILE_KEYS]
    lines += ["", "### Roles", "", *DATASET_ROLES_HEAD, ""]
    lines += [
        "| role | what the file is | guessed for names such as |",
        "|---|---|---|",
    ]
    lines += [role_row(role) for role in [*Role, *EXTRA_ROLES]]
    return "\n".join(lines) + "\n"


def key_row(spec: FieldSpec) -> str:
    """One key of `dataset.toml` as a row of a table."""
    kind = {"number": "number", "integer": "whole number"}.get(spec.kind, spec.kind)
    value = f"{kind}, {spec.unit}" if spec.unit else kind
    value = KEY_VALUES.get(spec.search, value)
    note = KEY_NOTES.get(spec.search, "")
    meaning = f"{spec.label}: {note}" if note else spec.label
    said_by_mdoc = ["mdoc"] if spec.search in mdoc_fields(MdocSummary()) else []
    others = [KEY_SOURCES[spec.search]] if spec.search in KEY_SOURCES else []
    source = ", else ".join(said_by_mdoc + others)
    return f"| `{spec.search}` | {value} | {meaning} | {source} | `{spec.name}` |"


def role_row(role: str) -> str:
    """One role as a row of a table."""
    names = [f"`{name}`" for name in FILE_NAMES if guess_role(name) == role]
    return f"| `{role}` | {ROLE_NOTES[role]} | {', '.join(names) or 'never guessed'} |"


def help_of(name: str) -> str:
    """What `etdb NAME --help` prints on a terminal 80 columns wide."""
    return _help_said(["-m", "etdb.cli", *name.split()])


def _help_said(words: Sequence[str]) -> str:
    command = [sys.executable, *words, "--help"]
    environ = {**os.environ, "COLUMNS": "80", "NO_COLOR": "1", "TERM": "dumb"}
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env=environ
    )
    return "\n".join(line.rstrip() for line in done.stdout.strip().splitlines())


def broken_links() -> Iterator[str]:
    """Links between the texts that lead nowhere."""
    for page in [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]:
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text):
            if "://" in target or target.startswith("mailto:"):
                continue
            if not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: {target}"


def main() -> int:
    """Write or compare the pages."""
    parser = argparse.ArgumentParser(description="Write the reference pages.")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--check-links", action="store_true")
    options = parser.parse_args()
    pages = {
        DOCS / "settings.md": settings_page(),
        DOCS / "commands.md": commands_page(),
        DOCS / "dataset.md": dataset_page(),
    }
    problems = []
    for path, text in pages.items():
        if not options.check:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            problems.append(f"{path.relative_to(ROOT)} is not current; run: make fix")
    if options.check or options.check_links:
        problems += broken_links()
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
