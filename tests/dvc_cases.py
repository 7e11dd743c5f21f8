"""Random repositories with a `dvc.yaml`, most of which DVC accepts."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

_SCALARS: tuple[Any, ...] = (
    *(0, 1, -3, 10, 0.1, 1e-05, 2.5, 1e3, True, False, None, "plain", "two words", "it's", 'say "x"'),
    *(
        "$(touch canary)",
        "`touch canary`",
        "a;b",
        "a&&b",
        "*",
        "~",
        "ä",
        "",
        "true",
        "1e-3",
        "${braces",
        "x=1",
    ),
)
_NAMES = ("train", "test", "data", "lr", "deep", "model_name", "Seed", "n-est")
_STAGES = ("prepare", "train_model", "Evaluate", "clean-up", "step1", "step2", "a_b", "a-b")


@dataclass(frozen=True)
class Values:
    """What a stage of a repository can name: values of templates, of `params.yaml` and of another file."""

    known: dict[str, Any]
    params: dict[str, Any]
    extra: dict[str, Any]
    file: str


class Cases:
    """Makes repositories from one seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def write(self, directory: Path) -> None:
        """One repository: files of values and a `dvc.yaml`."""
        draw = self._random
        (directory / ".dvc").mkdir(parents=True)
        config = draw.choice(("", "", "[parsing]\nbool = boolean_optional\n", "[parsing]\nlist = append\n"))
        (directory / ".dvc" / "config").write_text(f"[core]\nno_scm = true\n{config}")
        for name in ("src", "sub/deep"):
            (directory / name).mkdir(parents=True)
        values = self._values(2)
        if draw.random() < 0.97:
            self._dump(directory / "params.yaml", values)
        extra = {f"{key}_{at}": value for at, (key, value) in enumerate(self._values(2).items())}
        file = draw.choice(("more.json", "more.yaml", "more.toml", "more.py"))
        self._dump(directory / file, self._plain(extra))
        self._dump(directory / "sub" / "params.yaml", self._values(1))
        known = dict(values) if (directory / "params.yaml").exists() else {}
        given: list[Any] = []
        if draw.random() < 0.6:
            inline = {draw.choice(_NAMES) + draw.choice(("", "_x", "_y", "_z", "_u")): self._value(2)}
            given.append(inline)
            known |= inline
        if draw.random() < 0.5:
            extra = self._plain(extra) if file.endswith((".py", ".toml")) else extra
            chosen = draw.sample(sorted(extra), min(len(extra), draw.randint(0, 2)))
            given.append(f"{file}:{','.join(chosen)}" if chosen else file)
            known |= {key: extra[key] for key in chosen} if chosen else extra
        document: dict[str, Any] = {"vars": given} if given else {}
        names = draw.sample(_STAGES, draw.randint(1, 4))
        there = Values(known, values, extra, file)
        document["stages"] = {name: self._entry(name, there) for name in names}
        if draw.random() < 0.05:
            document[draw.choice(("plots", "metrics", "stagez"))] = ["x.json"]
        text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
        (directory / "dvc.yaml").write_text(text)

    def _dump(self, path: Path, values: dict[str, Any]) -> None:
        match path.suffix:
            case ".json":
                text = json.dumps(values)
            case ".toml":
                text = _toml({key: value for key, value in values.items() if value is not None})
            case ".py":
                text = "".join(f"{key.replace('-', '_')} = {value!r}\n" for key, value in values.items())
            case _:
                text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        path.write_text(text)

    def _plain(self, values: dict[str, Any]) -> dict[str, Any]:
        """Names that a Python file can have, and no null, which TOML has not."""
        return {
            key.replace("-", "_"): (
                self._plain(value) if isinstance(value, dict) else "none" if value is None else value
            )
            for key, value in values.items()
        }

    def _values(self, depth: int) -> dict[str, Any]:
        return {name: self._value(depth) for name in self._random.sample(_NAMES, self._random.randint(1, 5))}

    def _value(self, depth: int) -> Any:
        draw = self._random
        if depth and draw.random() < 0.3:
            return self._values(depth - 1)
        if depth and draw.random() < 0.3:
            return [draw.choice(_SCALARS[:-6]) for _ in range(draw.randint(1, 3))]
        return draw.choice(_SCALARS)

    def _name(self, known: dict[str, Any]) -> str:
        """An expression that mostly names a single value."""
        draw = self._random
        if not known or draw.random() < 0.01:
            return draw.choice(("nothing", "a..b", "a[", "", "train.nothing"))
        key = draw.choice(sorted(known))
        value, name = known[key], key
        while isinstance(value, dict | list) and value and draw.random() < 0.99:
            if isinstance(value, dict):
                key = draw.choice(sorted(value))
                name, value = f"{name}.{key}", value[key]
            else:
                at = draw.randrange(len(value))
                name, value = draw.choice((f"{name}[{at}]", f"{name}.{at}")), value[at]
        return name

    def _text(self, known: dict[str, Any], stem: str) -> str:
        draw = self._random
        if draw.random() < 0.3:
            return f"{stem}-${{{self._name(known)}}}" if draw.random() < 0.9 else f"{stem}\\${{x}}"
        return stem

    def _command(self, known: dict[str, Any]) -> str:
        """A command, with a mapping in it at times."""
        maps = [name for name, value in known.items() if isinstance(value, dict)]
        if maps and self._random.random() < 0.2:
            return f"python src/a.py ${{{self._random.choice(maps)}}}"
        return self._text(known, "python src/a.py --x")

    def _entry(self, name: str, there: Values) -> dict[str, Any]:
        draw = self._random
        roll = draw.random()
        if roll < 0.6:
            return self._stage(name, there, "")
        known = there.known
        lists = [key for key, value in known.items() if isinstance(value, list | dict)]
        template = f"${{{draw.choice(lists)}}}" if lists else ["u", 2]
        if roll < 0.85:
            each = draw.choice(
                (
                    [draw.choice(_SCALARS[:13]) for _ in range(draw.randint(1, 3))],
                    {key: self._value(1) for key in draw.sample(_NAMES, 2)},
                    [{"a": 1, "b": "x y"}, {"a": True, "b": [1, 2]}],
                    template,
                    [f"${{{self._name(known)}}}", "fixed"],
                )
            )
            inner = replace(there, known={**known, "item": each[0] if isinstance(each, list) else "x"})
            return {"foreach": each, "do": self._stage(name, inner, "${item}")}
        matrix = {
            "first": [draw.choice(_SCALARS[:13]) for _ in range(2)],
            "second": draw.choice((["u", {"deep": 1}], template, "ab")),
        }
        inner = replace(there, known={**known, "item": {"first": 1, "second": "u"}})
        return {"matrix": matrix, **self._stage(name, inner, "${key}")}

    def _stage(self, name: str, there: Values, own: str) -> dict[str, Any]:
        """A stage; `own` tells the outputs of a group apart."""
        draw = self._random
        stage: dict[str, Any] = {}
        up = ""
        if draw.random() < 0.2:
            stage["wdir"] = draw.choice(("sub", "sub/deep", "./sub/"))
            up = "../" if stage["wdir"] != "sub/deep" else "../../"
        if draw.random() < 0.2:
            stage["vars"] = [{"own_" + draw.choice(_NAMES): self._value(1)}]
            there = replace(there, known={**there.known, **stage["vars"][0]})
        commands = [self._command(there.known) for _ in range(draw.randint(1, 3))]
        stage["cmd"] = draw.choice((commands[0], commands, "\n".join(commands), "cd sub; ls | wc > out"))
        if draw.random() < 0.7:
            deps = (f"{up}src/a.py", f"{up}data/x.csv", f"{up}./src//b.py", f"{up}data", f"{up}in[1].csv")
            stage["deps"] = [self._text(there.known, each) for each in draw.sample(deps, draw.randint(1, 3))]
        if draw.random() < 0.6:
            stage |= self._params(there, up)
        for kind in ("outs", "metrics", "plots"):
            if draw.random() < 0.5:
                stem = f"{up}build/{kind}/{name}{own}"
                stage[kind] = [self._out(f"{stem}{at}", there) for at in range(draw.randint(1, 2))]
        return stage | self._flags()

    def _params(self, there: Values, up: str) -> dict[str, Any]:
        draw = self._random
        own, other = draw.choice(sorted(there.params)), draw.choice(sorted(there.extra))
        item = draw.choice(
            (
                own,
                {f"{up}{there.file}": [other.replace("-", "_")]},
                {f"{up}{there.file}": None},
                {f"{up}params.yaml": [own]},
            )
        )
        return {} if up and isinstance(item, str) else {"params": [item]}

    def _flags(self) -> dict[str, Any]:
        draw = self._random
        found: dict[str, Any] = {}
        for key, chance in (("frozen", 0.05), ("always_changed", 0.1)):
            if draw.random() < chance:
                found[key] = True
        if draw.random() < 0.1:
            found["desc"] = draw.choice(("what it does", "what ${it does"))
        if draw.random() < 0.02:
            found[draw.choice(("command", "cache", "output"))] = "x"
        return found

    def _out(self, stem: str, there: Values) -> Any:
        draw = self._random
        path = stem + draw.choice((".json", ".csv", ""))
        path = self._text(there.known, path) if draw.random() < 0.3 else path
        if draw.random() < 0.01:
            path = "build/shared"
        if draw.random() < 0.4:
            options = {"cache": draw.choice((True, False))}
            if draw.random() < 0.4:
                options["persist"] = True
            return {path: options}
        return path


def _toml(values: dict[str, Any], above: str = "") -> str:
    lines, tables = [], []
    for key, value in values.items():
        if isinstance(value, dict):
            name = f"{above}{json.dumps(key)}"
            tables.append(f"[{name}]\n" + _toml(value, f"{name}."))
        elif value is not None:
            lines.append(f"{json.dumps(key)} = {_toml_value(value)}\n")
    return "".join(lines) + "".join(tables)


def _toml_value(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_toml_value(each) for each in value if each is not None) + "]"
    return json.dumps(value, ensure_ascii=False)
