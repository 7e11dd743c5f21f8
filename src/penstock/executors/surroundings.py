"""The environment variables of a stage: the same on every machine, whoever runs it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

SOURCE_DATE = 315532800
"""1980-01-01, the first date that every archive format can hold."""

FIXED: Mapping[str, str] = {
    "TZ": "UTC",
    "LANG": "C.UTF-8",
    "LC_ALL": "C.UTF-8",
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    # and no PYTHONPYCACHEPREFIX, which would hide the bytecode that environments bring
    "PYTHONDONTWRITEBYTECODE": "1",
    "SOURCE_DATE_EPOCH": str(SOURCE_DATE),
}
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# They say how this machine reaches the network, not what comes from there: without them a stage that works at
# home fails behind a company's proxy. That is why they are no part of a key.
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
PASSED_ON = (*CERTIFICATES, *_PROXIES, *(name.upper() for name in _PROXIES))
ROOT = "PENSTOCK_ROOT"
"""To a stage that works outside of its workspace: the project; under Dagger there is none."""
GIT = "PENSTOCK_GIT"
"""To such a stage, if it passes it on: the repository's `.git`, where that does not lie in the project."""
STATE = "PENSTOCK_STATE"
"""To such a stage: a directory that outlives the run."""
PASSED_ON_DEVICES = ("CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES")
"""Only to a stage with an accelerator: which of the machine's devices are meant for this run."""


def surroundings(
    *,
    bin_dirs: Iterable[Path],
    home: str,
    temporary: str,
    variables: Mapping[str, str],
    secrets: Mapping[str, str],
    devices: bool = False,
    system_path: str = SYSTEM_PATH,
) -> dict[str, str]:
    """The whole environment of a stage's process.

    Args:
        bin_dirs: Searched for programs before the system's.
        variables: Of the environment and of the stage; they win over what is fixed.
        secrets: By name; they win over all.
        devices: Whether the stage has an accelerator.
        system_path: Searched for programs last.
    """
    passed = (*PASSED_ON, *PASSED_ON_DEVICES) if devices else PASSED_ON
    return {
        **{name: os.environ[name] for name in passed if name in os.environ},
        **FIXED,
        "PATH": ":".join((*(str(path) for path in bin_dirs), system_path)),
        "HOME": home,
        "TMPDIR": temporary,
        **variables,
        **secrets,
    }


def certificates() -> list[str]:
    """Files and directories that the passed-on variables name, as far as they are there."""
    named = {os.environ[name] for name in CERTIFICATES if os.environ.get(name)}
    return sorted(path for path in named if Path(path).is_absolute() and Path(path).exists())
