"""The git commit that a run is made from, asked of git while the run goes on."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_PATIENCE_S = 0.1


class Revision:
    """A question to git; `answer` gives what it said.

    git is started at once and read at the end, so that a run which finds nothing to do does not wait for it.
    `subprocess` is not used because its import alone takes longer than git.
    """

    def __init__(self, root: Path) -> None:
        self._pid = 0
        read, write = os.pipe()
        self._answer = read
        # --branch prints the commit, and only changes to what git tracks are listed
        asked = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no", "."]
        environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"}
        try:
            self._pid = os.posix_spawnp(
                "git",
                asked,
                environment,
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, write, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        except OSError:
            pass  # no git: the run has no commit, which is no error
        finally:
            os.close(write)

    def answer(self) -> str | None:
        """The commit, with `-dirty` if tracked files below the root differ from it; None outside of git.

        A git that takes longer than the run is not waited for; then there is no answer.
        """
        if not self._pid:
            os.close(self._answer)
            return None
        text = self._read()
        os.close(self._answer)
        if text is None:
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)
        return _parse(text or "")

    def _read(self) -> str | None:
        import select

        collected = b""
        while select.select([self._answer], [], [], _PATIENCE_S)[0]:
            chunk = os.read(self._answer, 1 << 16)
            if not chunk:
                return collected.decode("utf-8", "replace")
            collected += chunk
        return None


def _parse(text: str) -> str | None:
    commit, dirty = None, False
    for line in text.splitlines():
        if line.startswith("# branch.oid "):
            commit = line.removeprefix("# branch.oid ")
        elif line and not line.startswith("#"):
            dirty = True
    if commit is None or commit == "(initial)":
        return None
    return f"{commit}-dirty" if dirty else commit
