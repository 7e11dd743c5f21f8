"""From a draft to a file that is accepted: what would be refused becomes a comment with the reason."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from penstock.scaffold.draft import Draft, Item, any_python
from penstock.scaffold.render import Text, render

MAX_ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that is wrong with a rendered draft.

    Attributes:
        line: From 1; 0 if it is not about a line.
        owner: What it is about, if that is known: `stage NAME`, `python`, `requirements`.
        file: Of the repository, that it is about.
    """

    reason: str
    line: int = 0
    owner: str = ""
    file: str = ""


Judge = Callable[[str], Sequence[Complaint]]
"""Says what is wrong with the text of a pipeline file; nothing if it would be accepted."""


def settle(draft: Draft, judge: Judge) -> str:
    """The text of a pipeline file that has nothing wrong with it.

    What has to be refused for that is marked in the draft, with the reason.
    """
    for _ in range(MAX_ROUNDS):
        text = render(draft)
        complaints = judge(str(text))
        if not complaints:
            return str(text)
        marked = [
            _refuse(draft, _owner(draft, text, complaint), complaint.reason) for complaint in complaints
        ]
        if not any(marked):
            _bare(draft, complaints[0].reason)
    _bare(draft, "too much of it was refused")
    return str(render(draft))


def _owner(draft: Draft, text: Text, complaint: Complaint) -> str:
    if complaint.owner:
        return complaint.owner
    settings = (("params", draft.params), ("requirements", draft.requirements), ("source", draft.source))
    for name, setting in settings:
        if setting is not None and setting.value == complaint.file:
            return name
    return text.owners[complaint.line - 1] if 0 < complaint.line <= len(text.owners) else ""


def _refuse(draft: Draft, owner: str, reason: str) -> bool:
    """Mark what a line belongs to; whether that changes anything."""
    kind, _, name = owner.partition(" ")
    reason = reason.removeprefix(f"stage '{name}': ")
    match kind:
        case "stage":
            stages = [stage for stage in draft.stages if stage.name == name and not stage.refused]
            for stage in stages:
                stage.refused = reason
                draft.left_out.append(f"stage '{name}': {reason}")
            return bool(stages)
        case "python" | "requirements" | "params" | "source":
            return _refuse_setting(draft, kind, reason)
        case "data" | "gates" if not draft.data_refused:
            draft.data_refused = reason
            for stage in draft.stages:
                stage.refused = stage.refused or (reason if stage.data else "")
            draft.left_out.append(f"data: {reason}")
            return True
        case "variables":
            draft.pythonpath = ""
            return True
        case _:
            return False


def _refuse_setting(draft: Draft, name: str, reason: str) -> bool:
    setting = {
        "python": draft.python,
        "requirements": draft.requirements,
        "params": draft.params,
        "source": draft.source,
    }[name]
    if setting is None or setting.refused:
        return False
    setting.refused = reason
    draft.left_out.append(f"{name}: {reason}")
    if name == "source":
        draft.foreign.clear()
    if name == "requirements" and draft.python is None:
        draft.python = any_python()
    if name == "params":
        for stage in draft.stages:
            if stage.params:
                stage.params = []
                stage.inputs.append(
                    Item(setting.value, "the whole file, as its sections cannot be told apart")
                )
    return True


def _bare(draft: Draft, reason: str) -> None:
    """What is left when nobody knows what is wrong: a file that cannot be."""
    for stage in draft.stages:
        stage.refused = stage.refused or reason
    for setting in (draft.python, draft.requirements, draft.params, draft.source):
        if setting is not None:
            setting.refused = setting.refused or reason
    draft.foreign.clear()
    draft.data_refused = draft.data_refused or reason
    draft.pythonpath = ""
    draft.left_out.append(reason)
