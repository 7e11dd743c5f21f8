"""Moves of a registered model's aliases: what is asked of the registry, and what the audit log says of it.

The log has an entry before a move and one after, so no move is without one. The first one's hash is noted in
the registry: whoever cuts the log off before it is found out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from penstock.errors import UsageError
from penstock.publish import audit
from penstock.record import Record

_REFERENCE = re.compile(r"(?:models:/)?(?P<model>[^/@]+)(?:@(?P<alias>[^/@]+)|/(?P<version>[0-9]+))?")


def named(reference: str) -> dict[str, str | None]:
    """What a reference to a version means: `model`, and `alias` or `version`.

    Raises:
        UsageError: It names no version.
    """
    found = _REFERENCE.fullmatch(reference)
    if found is None or not (found["alias"] or found["version"]):
        raise UsageError(
            f"{reference!r} names no version of a model", notes=("write NAME@ALIAS or NAME/VERSION",)
        )
    return found.groupdict()


class Move(Record):
    """A move that somebody asks for.

    Attributes:
        request: What the program `registry` is asked, without who asks.
        subject: What moves, and where to.
        why: In the words of who asks.
    """

    request: Mapping[str, Any]
    subject: str
    why: str

    @classmethod
    def promotion(
        cls, reference: str, to: str, why: str, override: str | None = None, reason: str | None = None
    ) -> Move:
        """Let an alias mean a version.

        Args:
            override: Who answers for a version that did not pass.
            reason: Why they do.

        Raises:
            UsageError: The reference names no version, or one of the last two is missing.
        """
        if (override is None) != (reason is None):
            raise UsageError(
                "an override needs the name of who answers for it and a reason", notes=("give both",)
            )
        answering = None
        if override is not None:
            answering = {"name": override, "reason": reason}
            why = f"override by {override}: {reason}" + (f"; {why}" if why else "")
        request = {"action": "promote", **named(reference), "to": to, "override": answering}
        return cls(request=request, subject=f"{reference.removeprefix('models:/')} to {to}", why=why)

    @classmethod
    def rollback(cls, model: str, steps: int, why: str, champion: str | None = None) -> Move:
        """Go some champions back.

        Args:
            champion: The version that must be the champion now: then it is safe to repeat.
        """
        request = {"action": "rollback", "model": model, "steps": steps, "from": champion}
        return cls(request=request, subject=f"{model} by {steps}", why=why)

    def begin(self, log: Path, environ: Mapping[str, str], who: str | None = None) -> dict[str, Any]:
        """Note that it begins; gives the whole request.

        Raises:
            StoreError, CorruptError: The log cannot be continued, so nothing may move.
        """
        begun = audit.append(
            log, what=f"{self._what}-begun", subject=self.subject, why=self.why, environ=environ, who=who
        )
        return {**self.request, "who": begun.who, "why": self.why, "audit_head": str(begun.head)}

    def failed(self, log: Path, environ: Mapping[str, str], error: Exception, who: str | None = None) -> None:
        """Note that it was not made."""
        audit.append(
            log, what=f"{self._what}-failed", subject=self.subject, why=str(error), environ=environ, who=who
        )

    def done(
        self, log: Path, environ: Mapping[str, str], receipt: Mapping[str, Any], who: str | None = None
    ) -> None:
        """Note what the registry says that it has become."""
        facts = receipt["facts"]
        became = f"{facts['alias']}: {receipt['publications'][0]['state']}, version {facts['before']} before"
        audit.append(
            log,
            what=self._what,
            subject=f"models:/{facts['model']}/{facts['version']}",
            why=became,
            environ=environ,
            who=who,
            evidence=facts.get("run"),
        )

    @property
    def _what(self) -> str:
        return str(self.request["action"])
