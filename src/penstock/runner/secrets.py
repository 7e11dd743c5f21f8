"""The values of secrets, from where the pipeline file says that they are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from penstock.errors import UsageError
from penstock.plan.model import Plan, Secret, Stage
from penstock.redact import check_value

_SECRET = re.compile(r"PASS|TOKEN|SECRET|KEY|CREDENTIAL")


def load_secrets(
    plan: Plan, stages: Iterable[Stage], environ: Mapping[str, str], root: Path
) -> dict[str, bytes]:
    """The values of the secrets that these stages declare.

    Raises:
        UsageError: One is not there, cannot be read, or is too short to be masked.
    """
    asked = {name: stage for stage in stages for name in stage.secrets}
    values = {}
    for secret in plan.secrets:
        if secret.name in asked:
            where = plan.place(asked[secret.name])
            values[secret.name] = _value(secret, environ, root, where)
            check_value(secret.name, values[secret.name])
    return values


def load_passed(stage: Stage, environ: Mapping[str, str]) -> tuple[dict[str, str], dict[str, bytes]]:
    """What an outside stage gets of Penstock's own environment: plain variables, and those to be masked.

    Raises:
        UsageError: One to be masked is too short for that.
    """
    variables: dict[str, str] = {}
    secrets: dict[str, bytes] = {}
    for name in stage.passes:
        value = environ.get(name)
        if not value:
            continue
        if _SECRET.search(name):
            secrets[name] = value.encode("utf-8", "surrogateescape")
            check_value(name, secrets[name])
        else:
            variables[name] = value
    return variables, secrets


def _value(secret: Secret, environ: Mapping[str, str], root: Path, where: str) -> bytes:
    if secret.file is not None:
        path = root / Path(secret.file).expanduser()
        try:
            # the newline that editors add is no part of a token
            return path.read_bytes().removesuffix(b"\n")
        except OSError as error:
            raise UsageError(
                f"secret {secret.name!r}: {path} cannot be read: {error.strerror}",
                where=where,
                notes=("write the value into that file, or name another one under `secrets`",),
            ) from None
    variable = secret.env or secret.name
    if variable not in environ:
        raise UsageError(
            f"secret {secret.name!r}: the variable {variable} is not set",
            where=where,
            notes=(f"set {variable}, or name a file under `secrets.{secret.name}.file`",),
        )
    return environ[variable].encode("utf-8", "surrogateescape")
