"""Who reads what another stage writes, and the order that follows from it; paths only, no file is touched."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from penstock.plan.model import Plan, Produced
from penstock.plan.paths import inside, is_pattern, literal_prefix, matches, overlap
from penstock.plan.problems import Problems
from penstock.record import Record, field

_MAX_WORK = 600_000  # names compared, some tenths of a second


class Declared(Record, kw_only=False):
    """A path as a stage declares it."""

    path: str
    line: int
    role: str | None = None


class Node(Record, kw_only=False):
    """What the graph needs to know of a stage."""

    name: str
    line: int
    inputs: tuple[Declared, ...]
    outputs: tuple[Declared, ...]


class Links(Record, kw_only=False):
    """Where a stage's inputs come from.

    Attributes:
        sources: Inputs that the source may hold. One that holds outputs of other stages, or a pattern that
            selects some, is here as well as in `produced`: there may be other files too.
        produced: Sorted by path.
    """

    sources: tuple[str, ...]
    produced: tuple[Produced, ...]


def link(
    nodes: Sequence[Node], reserved: Mapping[str, str], file: str, problems: Problems
) -> tuple[dict[str, Links], list[str]]:
    """The links of every stage, and an order in which producers come first.

    Args:
        nodes: In the order of the pipeline file, which decides where paths do not.
        reserved: Paths that no stage may write → what they are.
        file: As messages name it.
        problems: Gets overlapping outputs, outputs over reserved paths, stages that read what they write,
            and cycles; the result is of use only if there are none.
    """
    outputs = _Outputs(nodes)
    outputs.refuse_overlaps(file, problems)
    outputs.refuse_reserved(reserved, file, problems)
    links = {node.name: _links(node, outputs, file, problems) for node in nodes}
    if outputs.work > _MAX_WORK:
        what = "there are too many patterns over too many outputs"
        problems.add(file, nodes[0].line, what, ("begin patterns with the directory that they search",))
    needs = {name: sorted({item.stage for item in each.produced}) for name, each in links.items()}
    order = _order([node.name for node in nodes], needs)
    if len(order) < len(nodes):
        cycle = _cycle({name: needs[name] for name in needs if name not in set(order)})
        first = next(node for node in nodes if node.name == cycle[0])
        problems.add(
            file,
            first.line,
            f"the stages need each other in a cycle: {' -> '.join(cycle)}",
            (_cycle_path(cycle, links), "no stage may read, over whatever path, what it makes itself"),
        )
    return links, order


def downstream(plan: Plan, names: Iterable[str]) -> frozenset[str]:
    """The stages that need these, directly or through others; these too only if they need each other."""
    readers = defaultdict(list)
    for stage in plan.stages:
        for name in stage.needs:
            readers[name].append(stage.name)
    return _closure(readers, names)


def upstream(plan: Plan, names: Iterable[str]) -> frozenset[str]:
    """The stages that these need, directly or through others; these too only if they need each other."""
    return _closure({stage.name: list(stage.needs) for stage in plan.stages}, names)


def nearest_output(plan: Plan, path: str) -> str | None:
    """The declared output that is most like a path, with its stage, as a message names it."""
    from difflib import get_close_matches

    owners = {output.path: stage.name for stage in plan.stages for output in stage.outputs}
    found = get_close_matches(path, owners, 1)
    return f"{found[0]!r} (stage {owners[found[0]]!r})" if found else None


def _closure(edges: Mapping[str, Sequence[str]], names: Iterable[str]) -> frozenset[str]:
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        for name in edges.get(waiting.pop(), ()):
            if name not in found:
                found.add(name)
                waiting.append(name)
    return frozenset(found)


class _Outputs(Record, frozen=False, kw_only=False):
    """All outputs, found by path, from above and from below."""

    nodes: Sequence[Node]
    owners: dict[str, tuple[str, int]] = field(default_factory=dict)
    ordered: list[str] = field(default_factory=list)
    work: int = 0

    def __post_init__(self) -> None:
        for node in self.nodes:
            for output in node.outputs:
                self.owners.setdefault(output.path, (node.name, output.line))
        self.ordered = sorted(self.owners, key=lambda path: path + "/")

    def holding(self, path: str) -> str | None:
        """The output that a path is, or lies in."""
        while path:
            if path in self.owners:
                return path
            path = path.rpartition("/")[0]
        return None

    def below(self, directory: str) -> Iterator[str]:
        """The outputs that lie in a directory, not the directory itself; all for an empty name."""
        prefix = directory + "/" if directory else ""
        at = bisect_left(self.ordered, prefix, key=lambda path: path + "/")
        while at < len(self.ordered) and (self.ordered[at] + "/").startswith(prefix):
            if self.ordered[at] != directory:
                yield self.ordered[at]
            at += 1

    def selected(self, pattern: str) -> Iterator[str]:
        """The outputs that a pattern selects as a whole."""
        for path in self.below(literal_prefix(pattern)):
            self.work += (path.count("/") + 1) * (pattern.count("**") + 1)
            if self.work > _MAX_WORK:
                return
            if matches(pattern, path):
                yield path

    def refuse_overlaps(self, file: str, problems: Problems) -> None:
        """Every file has one writer."""
        seen: dict[str, str] = {}
        for node in self.nodes:
            for output in node.outputs:
                path = output.path
                holder = path if path in seen else self.holding(path.rpartition("/")[0])
                if holder is not None:
                    owner = seen.get(holder) or self.owners[holder][0]
                    how = "is what" if holder == path else f"lies in {holder!r}, which"
                    whom = "it writes already" if owner == node.name else f"stage {owner!r} writes already"
                    problems.add(
                        file,
                        output.line,
                        f"stage {node.name!r}: output {path!r} {how} {whom}",
                        ("give every output one path and one stage",),
                    )
                seen.setdefault(path, node.name)

    def refuse_reserved(self, reserved: Mapping[str, str], file: str, problems: Problems) -> None:
        """No stage writes over what the plan is made from."""
        for path, what in reserved.items():
            holder = self.holding(path)
            for output in (*([holder] if holder else ()), *self.below(path)):
                name, line = self.owners[output]
                problems.add(
                    file,
                    line,
                    f"stage {name!r}: output {output!r} would write over {what} {path!r}",
                    ("let the stage write elsewhere, such as below build/",),
                )


def _links(node: Node, outputs: _Outputs, file: str, problems: Problems) -> Links:
    sources: set[str] = set()
    produced: dict[str, Produced] = {}
    for declared in node.inputs:
        found, is_source = _reads(declared, node, outputs, file, problems)
        for item in found:
            if item.stage == node.name:
                problems.add(
                    file,
                    declared.line,
                    f"stage {node.name!r}: input {declared.path!r} holds its own output {item.output!r}",
                    ("a stage cannot read what it has yet to write; name the files that it reads",),
                )
            else:
                produced[item.path] = item
        if is_source:
            sources.add(declared.path)
    _drop_covered(sources, produced)
    return Links(tuple(sorted(sources)), tuple(produced[path] for path in sorted(produced)))


def _reads(
    declared: Declared, node: Node, outputs: _Outputs, file: str, problems: Problems
) -> tuple[list[Produced], bool]:
    """What an input takes from stages, and whether it takes anything from the source."""
    path = declared.path
    if is_pattern(path):
        holder = outputs.holding(literal_prefix(path))
        if holder is not None:
            problems.add(
                file,
                declared.line,
                f"stage {node.name!r}: input {path!r} selects within {holder!r}, an output of stage "
                f"{outputs.owners[holder][0]!r}",
                (f"read all of it ({holder!r}), or declare the files as outputs of their own",),
            )
            return [], False
        found = [Produced(each, outputs.owners[each][0], each) for each in outputs.selected(path)]
        return found, True
    holder = outputs.holding(path)
    if holder is not None:
        return [Produced(path, outputs.owners[holder][0], holder)], False
    return [Produced(each, outputs.owners[each][0], each) for each in outputs.below(path)], True


def _drop_covered(sources: set[str], produced: dict[str, Produced]) -> None:
    """Drop a path that another one holds, so that no file stands in a tree twice."""
    plain = {path for path in sources if not is_pattern(path)}
    for path in list(sources):
        # what a pattern selects lies below its fixed directories
        place = path if path in plain else literal_prefix(path) + "/*"
        if _held(place, plain):
            sources.discard(path)
    for path in [each for each in produced if _held(each, produced)]:
        del produced[path]


def _held(path: str, plain: Container[str]) -> bool:
    above = path.rpartition("/")[0]
    while above:
        if above in plain:
            return True
        above = above.rpartition("/")[0]
    return False


def _order(names: Sequence[str], needs: Mapping[str, Sequence[str]]) -> list[str]:
    """Producers first; among those that could come next, the first of the file. Stops at cycles."""
    rank = {name: at for at, name in enumerate(names)}
    readers = defaultdict(list)
    missing = {name: len(needs[name]) for name in names}
    for name in names:
        for need in needs[name]:
            readers[need].append(name)
    ready = [rank[name] for name in names if not missing[name]]
    order = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for reader in readers[name]:
            missing[reader] -= 1
            if not missing[reader]:
                heapq.heappush(ready, rank[reader])
    return order


def _cycle(needs: Mapping[str, Sequence[str]]) -> list[str]:
    """One cycle, first name repeated; every name given here is in one or leads to one."""
    name = next(iter(needs))
    walked: dict[str, int] = {}
    path: list[str] = []
    while name not in walked:
        walked[name] = len(path)
        path.append(name)
        name = next(need for need in needs[name] if need in needs)
    cycle = path[walked[name] :]
    # told in the direction in which files flow
    cycle = [cycle[0], *reversed(cycle[1:])]
    return [*cycle, cycle[0]]


def _cycle_path(cycle: Sequence[str], links: Mapping[str, Links]) -> str:
    writer, reader = cycle[0], cycle[1]
    path = next(item.path for item in links[reader].produced if item.stage == writer)
    return f"{reader!r} reads {path!r} of {writer!r}, and so on"


def refuse_archive_overlap(
    archive: Declared, nodes: Sequence[Node], reserved: Mapping[str, str], file: str, problems: Problems
) -> None:
    """The directory of archives is nobody's input or output: a run must not change what it reads."""
    for node in nodes:
        for each in (*node.inputs, *node.outputs):
            if _meets(archive.path, each.path):
                kind = "input" if each in node.inputs else "output"
                problems.add(
                    file,
                    archive.line,
                    f"`publish.archive.path` {archive.path!r} meets {each.path!r}, "
                    f"an {kind} of stage {node.name!r}",
                    ("choose a directory that no stage reads or writes",),
                )
                return
    for path, what in reserved.items():
        if inside(path, archive.path) or inside(archive.path, path):
            problems.add(file, archive.line, f"`publish.archive.path` {archive.path!r} meets {what} {path!r}")


def _meets(directory: str, path: str) -> bool:
    if not is_pattern(path):
        return overlap(directory, path)
    return inside(literal_prefix(path), directory) or matches(path, directory)
