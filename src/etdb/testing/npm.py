"""npm packages of a lock file, installed once and kept; none of their scripts run."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

from etdb.durable import lock
from etdb.errors import UnavailableError

INSTALL_WAIT_S = 600.0


def install(project: Path, cache: Path) -> Path:
    """The folder in the cache with a project's files and its node_modules.

    Made anew where a file of the project has changed. Raises UnavailableError
    where Node.js or npm is missing, or npm fails.
    """
    _, npm = _find("node"), _find("npm")
    files = [path for path in sorted(project.rglob("*")) if path.is_file()]
    wanted = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    folder = cache / project.name
    folder.mkdir(parents=True, exist_ok=True)
    name = f"installing {project.name}"
    with lock(cache / f"{project.name}.lock", name, wait_s=INSTALL_WAIT_S):
        done = folder / "installed"
        if not done.exists() or done.read_text("utf-8") != wanted:
            shutil.copytree(project, folder, dirs_exist_ok=True)
            _run(npm, folder)
            done.write_text(wanted, "utf-8")
    return folder


def _find(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        msg = f"{program} is missing"
        raise UnavailableError(msg, hint="install Node.js 20 or later with npm")
    return found


def _run(npm: str, folder: Path) -> None:
    done = subprocess.run(  # noqa: S603 - words of our own
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        msg = f"npm could not install {folder.name}: {done.stderr[-500:]}"
        raise UnavailableError(msg)
