"""`uses: dvc`: fetch the data of one `.dvc` file, as they are known by their hashes."""

from __future__ import annotations

from penstock.plan import carrying
from penstock.plan.dvc_config import FOLDER, tools_of, variables_of
from penstock.plan.dvc_files import DvcFile
from penstock.plan.model import Environment
from penstock.plan.reads import Reads
from penstock.plan.recipes import ANY_PYTHON, Recipe, equipped


def fetch(file: DvcFile, environment: Environment, reads: Reads) -> Recipe:
    """What fetches the data and holds them against their hashes.

    Args:
        file: What its `.dvc` file says.
        environment: Its lock file does not count: the tools are those that the remote needs, and a remote
            that is a directory needs none.
        reads: Notes what was looked at.
    """
    # an import comes from another repository, whatever remote this one has
    tools = tools_of("http" if file.imported and file.kind == FOLDER else file.kind)
    # a Python of its own in any case: not every system calls one `python`
    plain = Environment(python=environment.python or ANY_PYTHON, image=environment.image)
    request = {
        "file": file.path,
        "repository": file.repository,
        "dvc": tools is not None,
        "imported": file.imported,
        "outputs": [
            {
                "path": each.path,
                "md5": each.md5,
                "algorithm": each.algorithm,
                "executable": each.executable,
                "size_bytes": each.size_bytes,
                "remote": each.remote,
            }
            for each in file.tracked
        ],
    }
    return Recipe(
        run=f"{carrying.command('dvc_fetch')}\n",
        inputs=(file.path, file.config),
        outputs=tuple((each.path, "data") for each in file.tracked),
        files=carrying.files("dvc_fetch", request),
        environment=equipped(plain, tools, reads) if tools else plain,
        outside=True,
        passes=variables_of(file.kind),
        pledges=tuple((each.path, each.pledge) for each in file.tracked),
    )
