"""How one gets a program on this machine, as the command to type."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

_INSTALL = {
    "debian": "apt-get install {package}",
    "fedora": "dnf install {package}",
    "alpine": "apk add {package}",
    "arch": "pacman -S {package}",
    "suse": "zypper install {package}",
}
_FAMILIES = {
    "ubuntu": "debian",
    "rhel": "fedora",
    "centos": "fedora",
    "rocky": "fedora",
    "almalinux": "fedora",
    "amzn": "fedora",
    "opensuse": "suse",
    "sles": "suse",
}
_MACOS = {"git": "xcode-select --install", "bubblewrap": ""}


def family(os_release: str, platform: str = sys.platform) -> str:
    """The kind of system: `debian`, `fedora`, `alpine`, `macos`, ...; empty if it is not known.

    Args:
        os_release: Content of /etc/os-release.
    """
    if platform == "darwin":
        return "macos"
    fields = _fields(os_release)
    for name in (fields.get("ID", ""), *fields.get("ID_LIKE", "").split()):
        known = _FAMILIES.get(name, name)
        known = "suse" if known.startswith("opensuse") else known
        if known in _INSTALL:
            return known
    return ""


def this_family() -> str:
    """The kind of this system."""
    try:
        return family(Path("/etc/os-release").read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return family("")


def command(package: str, system: str, *, root: bool | None = None) -> str:
    """What to type for a package that has the same name everywhere; empty if it cannot be had so.

    Args:
        root: Whether one is root already, and needs no sudo.
    """
    if system == "macos":
        return _MACOS.get(package, f"brew install {package}")
    if system not in _INSTALL:
        return f"install the package {package}"
    root = os.geteuid() == 0 if root is None else root
    return f"{'' if root else 'sudo '}{_INSTALL[system].format(package=package)}"


def _fields(os_release: str) -> Mapping[str, str]:
    pairs = (line.partition("=") for line in os_release.splitlines() if "=" in line)
    return {key.strip(): value.strip().strip("\"'") for key, _, value in pairs}
