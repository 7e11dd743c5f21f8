"""A draft as the text of a pipeline file, with what each line is about."""

from __future__ import annotations

import posixpath
import re
import textwrap
from dataclasses import dataclass, field

from penstock.scaffold.draft import Draft, Item, Setting, StageDraft

WIDTH = 80
_MAX_FLOW = 60
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_PLAIN_COMMAND = re.compile(r"[A-Za-z][A-Za-z0-9_./=,@+-]*(?: [A-Za-z0-9_./=,@+-]+)*")
_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null"})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
HEAD = (
    "The pipeline of {name}, drafted by `penstock init` from what is in the repository. None of its code"
    " was run for that: look it over. A comment behind a path says where it was found. `penstock plan` shows"
    " what it all comes to, `penstock run` runs it."
)
IMPORTED = (
    "The pipeline of {name}, as `penstock import` read it in {file}, which nothing here refers to any more."
    " `penstock plan` shows what it all comes to, `penstock run` runs it."
)
SOURCE = (
    "These stages stay where they are: what changes there changes here. Others can stand beside them, and"
    " `{{timeout: 2h}}` below the name of one of them changes that one. `penstock import {file}` writes them"
    " all out."
)
OBSERVED = (
    "`observe` lets a stage see the whole source: what it reads is an input, declared or not, and"
    " `penstock run` says which inputs to add. Without that line a stage sees its inputs only."
)
STAGES = (
    "A stage runs in a workspace that holds its inputs and nothing else, and is not run again while they are"
    " unchanged. The order comes from the paths: what one stage writes, another reads."
)
GATES = (
    "A gate stands between the pipeline and what it publishes. The bounds are only examples: choose the ones"
    " that a model must keep to."
)


@dataclass(slots=True)
class Text:
    """Lines as they are written, and who each belongs to.

    Attributes:
        owners: Of each line: `stage NAME`, or the name of a setting; empty for what is always the same.
    """

    lines: list[str] = field(default_factory=list)
    owners: list[str] = field(default_factory=list)

    def add(self, line: str = "", owner: str = "") -> None:
        """One more line."""
        self.lines.append(line.rstrip())
        self.owners.append(owner)

    def comment(self, text: str, indent: int = 0, owner: str = "") -> None:
        """A comment, in lines of a readable length."""
        lead = " " * indent + "# "
        for line in textwrap.wrap(printable(text), WIDTH, initial_indent=lead, subsequent_indent=lead):
            self.add(line, owner)

    def __str__(self) -> str:
        return "\n".join(self.lines) + "\n"


def printable(text: str) -> str:
    """Text for a comment or a terminal: on one line, and nothing in it that moves a cursor."""
    return "".join(sign if sign.isprintable() else _escaped(sign) for sign in text)


def scalar(text: str) -> str:
    """A text as YAML, plain where every reader takes it for a text."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS:
        return text
    return quoted(text)


def quoted(text: str) -> str:
    """A text as YAML in quotes."""
    inner = "".join(_ESCAPES.get(sign) or (sign if sign.isprintable() else _escaped(sign)) for sign in text)
    return f'"{inner}"'


def _escaped(sign: str) -> str:
    code = ord(sign)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"  # noqa: PLR2004


def render(draft: Draft) -> Text:
    """The pipeline file of a draft."""
    text = Text()
    text.comment(
        (IMPORTED if draft.imported_from else HEAD).format(name=draft.name, file=draft.imported_from)
    )
    text.add()
    text.add("version: 1")
    text.add(f"name: {scalar(draft.name)}")
    if draft.root:
        text.add(f"root: {scalar(draft.root)}  # every path below is relative to this directory")
    text.add()
    _environment(text, draft)
    if draft.params is not None:
        if not draft.imported_from and not draft.foreign:
            text.comment("A stage sees the sections that it names under `params`, and no others.")
        _setting(text, "params", draft.params, 0)
        text.add()
    if draft.pythonpath:
        text.comment("The environment variables of every stage.")
        text.add("variables:", "variables")
        text.add(f"  PYTHONPATH: {scalar(draft.pythonpath)}", "variables")
        text.add()
    _data(text, draft)
    _stages(text, draft)
    _gates(text, draft)
    _publish(text, draft)
    for note in draft.notes:
        text.comment(note)
    return text


def _environment(text: Text, draft: Draft) -> None:
    given = {"python": draft.python, "requirements": draft.requirements}
    more = {"packages": flow(draft.packages) if draft.packages else "", "image": scalar(draft.image)}
    live = any(setting is not None and not setting.refused for setting in given.values())
    live = live or bool(draft.packages or draft.image)
    text.comment("Built once from these, and kept, for as long as they are the same.")
    text.add("environment:" if live else "# environment:")
    for name, setting in given.items():
        if setting is not None:
            _setting(text, name, setting, 2)
    for name, value in more.items() if draft.packages or draft.image else ():
        if value not in ("", '""'):
            text.add(f"  {name}: {value}", name)
    for note in draft.environment_notes:
        text.comment(note, 2)
    text.add()


def _setting(text: Text, name: str, setting: Setting, indent: int) -> None:
    for about in setting.about if not setting.refused else []:
        text.comment(about, indent, name)
    if setting.refused:
        text.comment(setting.refused, indent)
    lead = " " * indent + ("# " if setting.refused else "")
    text.add(f"{lead}{name}: {scalar(setting.value)}", name)


def _data(text: Text, draft: Draft) -> None:
    if draft.data:
        lead = "# " if draft.data_refused else ""
        if draft.data_refused:
            text.comment(draft.data_refused)
        text.add(f"{lead}data:", "data")
        for name, fields in draft.data.items():
            text.add(f"{lead}  {scalar(name)}: {flow(fields)}", "data")
        text.add()
    elif draft.data_files:
        text.comment(
            "Data that have a schema (columns, types, ranges) can be checked by a stage `uses: validate-data`"
            " and a gate `schema`."
        )
        text.add("# data:")
        for path in draft.data_files:
            name = re.sub(r"[^A-Za-z0-9]+", "-", posixpath.basename(path).split(".")[0]).strip("-") or "data"
            schema = posixpath.splitext(path)[0] + ".schema.yaml"
            text.add(f"#   {name}: {{path: {scalar(path)}, schema: {scalar(schema)}}}")
        text.add()


def _stages(text: Text, draft: Draft) -> None:
    text.comment(OBSERVED if draft.imported_from else STAGES)
    text.add("stages:")
    _source(text, draft)
    for stage in draft.stages:
        _stage(text, stage)
        text.add()
    if not draft.foreign and all(stage.refused for stage in draft.stages):
        text.comment(
            "Nothing that a stage could be made of was found. This one only shows what one looks like.", 2
        )
        text.add("  example:")
        text.add('    run: echo "replace me, for instance by python train.py"')
        for line in ("inputs: [train.py, data]", "params: [train]", "outputs: {model: build/model.pkl}"):
            text.add(f"    # {line}")
        text.add()


def _source(text: Text, draft: Draft) -> None:
    """Where stages are taken from."""
    if draft.source is None:
        return
    if draft.source.refused:
        text.comment(f"Not taken: {draft.source.refused}", 2)
        text.add(f"  # from: {scalar(draft.source.value)}")
    else:
        text.comment(SOURCE.format(file=draft.source.value), 2)
        for note in draft.source.about:
            text.comment(note, 2)
        text.add(f"  from: {scalar(draft.source.value)}", "source")
    text.add()


def flow(value: object) -> str:
    """A text, or a list or mapping of some, on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{scalar(str(key))}: {flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(flow(inner) for inner in value) + "]"
    return scalar(str(value))


def _stage(text: Text, stage: StageDraft) -> None:
    owner = f"stage {stage.name}"
    if stage.refused:
        text.comment(f"Not taken: {stage.refused}", 2)
    for note in stage.about:
        text.comment(note, 2, owner)
    inner = Text()
    inner.add(f"{stage.name}:")
    if stage.uses:
        inner.add(f"  uses: {stage.uses}")
    if stage.data:
        inner.add(f"  data: {scalar(stage.data)}")
    if stage.run:
        _command(inner, stage.run)
    _paths(inner, "inputs", stage.inputs)
    if stage.params:
        inner.add(f"  params: [{', '.join(scalar(key) for key in stage.params)}]")
    (_roles if any(item.role for item in stage.outputs) else _paths)(inner, "outputs", stage.outputs)
    further = ({} if stage.cache else {"cache": "false"}) | stage.settings
    for key, value in further.items():
        inner.add(f"  {key}: {value}")
    lead = "  # " if stage.refused else "  "
    for line in inner.lines:
        text.add(lead + line, owner)


def _command(text: Text, command: str) -> None:
    if _PLAIN_COMMAND.fullmatch(command) and command.lower() not in _WORDS:
        text.add(f"  run: {command}")
    elif all(line.isprintable() and line == line.strip() and line for line in command.split("\n")):
        text.add("  run: |-")
        for line in command.split("\n"):
            text.add(f"    {line}")
    else:
        text.add(f"  run: {quoted(command)}")


def _paths(text: Text, key: str, items: list[Item]) -> None:
    flow = f"  {key}: [{', '.join(scalar(item.path) for item in items)}]"
    if not items:
        return
    if len(flow) <= _MAX_FLOW and not any(item.why for item in items):
        text.add(flow)
        return
    text.add(f"  {key}:")
    for item in items:
        text.add(f"    - {scalar(item.path)}{_why(item)}")


def _roles(text: Text, key: str, items: list[Item]) -> None:
    text.add(f"  {key}:")
    taken: set[str] = set()
    for item in items:
        name = item.role or re.sub(r"[^a-z0-9]+", "-", posixpath.basename(item.path).split(".")[0].lower())
        name = name.strip("-") or "output"
        while name in taken:
            name += "-2"
        taken.add(name)
        text.add(f"    {scalar(name[:60])}: {scalar(item.path)}{_why(item)}")


def _why(item: Item) -> str:
    return f"  # {printable(item.why)}" if item.why else ""


def _gates(text: Text, draft: Draft) -> None:
    refused = {stage.data for stage in draft.stages if stage.data and stage.refused}
    judged = [name for name, fields in draft.data.items() if "schema" in fields and name not in refused]
    live = [f"  - {{gate: schema, data: {scalar(name)}}}" for name in judged if not draft.data_refused]
    if not live and not draft.metrics:
        return
    text.comment(GATES)
    text.add("gates:" if live else "# gates:", "gates")
    for line in live:
        text.add(line, "gates")
    for metric, bound in draft.metrics:
        text.add(f"{'  # -' if live else '#   -'} {{gate: threshold, metric: {scalar(metric)}, {bound}}}")
    text.add()


def _publish(text: Text, draft: Draft) -> None:
    if draft.publishable:
        text.comment("What is written, as one archive, when every required gate has passed:")
        text.add("# publish:")
        paths = ", ".join(scalar(path) for path in draft.publishable)
        text.add(f"#   archive: {{path: dist, contents: [{paths}]}}")
        text.add()
