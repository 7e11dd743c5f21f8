"""Registered models, their versions and aliases, as the other modules ask for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..common.program import UnusableError
from . import history, names
from .service import AbsentError, ExistsError, Service, pages, tags_of

CHAMPION, PREVIOUS = "champion", "previous"
RUN, MODEL_DIGEST, PASSED, MOVES = "penstock.run", "penstock.model", "penstock.passed", "penstock.moves"
"""Tags of a version: digests of its run and of the model, whether that passed, which aliases it was given."""
ANCHOR = "penstock.audit"


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model.

    Attributes:
        aliases: Alias → version.
    """

    name: str
    aliases: Mapping[str, str]
    tags: Mapping[str, str]

    @property
    def champion(self) -> str | None:
        """The champion's version."""
        return self.aliases.get(CHAMPION)

    @property
    def record(self) -> history.Record:
        """Who was champion before."""
        return history.Record.parse(self.tags.get(history.TAG))


class Versions:
    """The versions of one registered model."""

    def __init__(self, service: Service, model: Any) -> None:
        self.name = names.model(model)
        self.service = service
        self._client = service.client

    def model(self) -> Model:
        """The registered model.

        Raises:
            AbsentError: There is none.
        """
        try:
            found = self.service.call(
                f"looking for model {self.name!r}", self._client.get_registered_model, self.name
            )
        except AbsentError:
            raise AbsentError(
                f"{self.service.place.shown}: there is no model {self.name!r};"
                " `penstock models list` shows which there are"
            ) from None
        aliases = {str(alias): str(version) for alias, version in dict(found.aliases or {}).items()}
        return Model(self.name, aliases, tags_of(found))

    def have_model(self) -> None:
        """Register the model's name if it is not there."""
        try:
            self.service.call(
                f"registering model {self.name!r}", self._client.create_registered_model, self.name
            )
        except ExistsError:
            return

    def of_run(self, run: str) -> Any | None:
        """The version of a run, the oldest if there should be several."""
        return self.service.call(f"looking for the run's version of {self.name!r}", self._of_run, run)

    def _of_run(self, run: str) -> Any | None:
        found = self._client.search_model_versions(f"name = '{self.name}' and tags.`{RUN}` = '{run}'")
        return min(found, key=lambda each: int(each.version), default=None)

    def all(self) -> Sequence[Any]:
        """Every version, the oldest first."""
        found = pages(
            self.service,
            f"listing the versions of {self.name!r}",
            self._client.search_model_versions,
            filter_string=f"name = '{self.name}'",
            max_results=1000,
        )
        return sorted(found, key=lambda each: int(each.version))

    def have_version(self, run: str, source: str, run_id: str, tags: Mapping[str, str]) -> tuple[Any, bool]:
        """The version of a run, and whether it was made now; there is never a second one.

        Where two processes make one at the same time, the later one is taken away again.
        """
        made: list[Any] = []

        def make() -> Any:
            made.append(
                self._client.create_model_version(
                    self.name, source=source, run_id=run_id, tags=dict(tags), await_creation_for=0
                )
            )
            return made[-1]

        self.service.ensure(f"registering a version of {self.name!r}", lambda: self._of_run(run), make)
        if not made:
            return self.of_run(run), False
        first = self.of_run(run) or made[-1]
        self._remove_others(run, str(first.version))
        return first, any(str(each.version) == str(first.version) for each in made)

    def _remove_others(self, run: str, keep: str) -> None:
        aliased = set(self.model().aliases.values())
        for each in self.all():
            number = str(each.version)
            if number not in {keep, *aliased} and tags_of(each).get(RUN) == run:
                with suppress(AbsentError):  # whoever made it may have been faster
                    self.service.call(
                        f"taking away version {number} of {self.name!r}, made twice",
                        self._client.delete_model_version, self.name, number,
                    )  # fmt: skip

    def find(self, request: Mapping[str, Any], model: Model | None = None) -> Any:
        """The version that a request means by `version` or `alias`.

        Raises:
            AbsentError: There is none.
            UnusableError: The request names neither.
        """
        if request.get("version") is not None:
            number = names.version(request["version"])
        elif request.get("alias"):
            alias = names.alias(request["alias"])
            aliases = (model or self.model()).aliases
            if alias not in aliases:
                known = ", ".join(f"{each} (version {aliases[each]})" for each in sorted(aliases)) or "none"
                raise AbsentError(f"model {self.name!r} has no alias {alias!r}; its aliases: {known}")
            number = aliases[alias]
        else:
            raise UnusableError("name a version or an alias")
        return self.version(number)

    def version(self, number: str) -> Any:
        """A version by its number.

        Raises:
            AbsentError: There is none.
        """
        try:
            return self.service.call(
                f"looking for version {number} of {self.name!r}",
                self._client.get_model_version, self.name, number,
            )  # fmt: skip
        except AbsentError:
            raise AbsentError(f"model {self.name!r} has no version {number}") from None

    def set_alias(self, alias: str, number: str) -> None:
        """Let an alias mean a version, in one request."""
        self.service.call(
            f"pointing {alias!r} to version {number} of {self.name!r}",
            self._client.set_registered_model_alias, self.name, alias, number,
        )  # fmt: skip

    def drop_alias(self, alias: str) -> None:
        """Take an alias away."""
        try:
            self.service.call(
                f"taking {alias!r} of {self.name!r} away",
                self._client.delete_registered_model_alias, self.name, alias,
            )  # fmt: skip
        except AbsentError:
            return

    def tag_model(self, key: str, value: str) -> None:
        """Set a tag of the model."""
        self.service.call(
            f"noting {key} of {self.name!r}",
            self._client.set_registered_model_tag, self.name, key, value,
        )  # fmt: skip

    def tag(self, number: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        self.service.call(
            f"noting {key} of version {number} of {self.name!r}",
            self._client.set_model_version_tag, self.name, number, key, value,
        )  # fmt: skip
