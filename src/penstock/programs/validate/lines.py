"""A YAML document as plain values, with the line of each."""

from __future__ import annotations

from typing import Any

import yaml


class Document:
    """What a YAML text holds.

    Raises:
        yaml.YAMLError: It is none, repeats a key, or has aliases (with which a small file grows huge).
    """

    def __init__(self, text: str) -> None:
        self._loader = yaml.SafeLoader(text)
        for token in yaml.scan(text, Loader=yaml.SafeLoader):
            if isinstance(token, yaml.AliasToken | yaml.AnchorToken):
                raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=token.start_mark)
        self._lines: dict[tuple[int | str, ...], int] = {(): 1}
        node = self._loader.get_single_node()
        self.value = self._plain(node, ()) if node else None

    def _plain(self, node: yaml.Node, where: tuple[int | str, ...]) -> Any:
        self._lines.setdefault(where, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            return [self._plain(item, (*where, index)) for index, item in enumerate(node.value)]
        if not isinstance(node, yaml.MappingNode):
            return self._loader.construct_object(node)
        result: dict[str, Any] = {}
        for key, value in node.value:
            name = str(key.value)
            if name in result:
                raise yaml.MarkedYAMLError(problem=f"{name!r} is given twice", problem_mark=key.start_mark)
            self._lines[*where, name] = key.start_mark.line + 1
            result[name] = self._plain(value, (*where, name))
        return result

    def line(self, where: tuple[int | str, ...]) -> int:
        """The line, counted from 1, of a value or of what it lies in."""
        while where not in self._lines:
            where = where[:-1]
        return self._lines[where]
