"""What can be told of a script's files by reading its source."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.scaffold.places import Reader
from penstock.scaffold.repository import look
from penstock.scaffold.source import Library
from penstock.scaffold.uses import Use, mentions


def uses(root: Path, source: str, **others: str) -> dict[str, Use]:
    """Path → the surest use, of a script `scripts/train.py`."""
    (root / "scripts").mkdir(parents=True, exist_ok=True)
    (root / "data").mkdir(exist_ok=True)
    (root / "data/raw.csv").write_text("x\n")
    (root / "scripts/train.py").write_text(source)
    for name, text in others.items():
        (root / f"{name}.py").write_text(text)
    library = Library(look(root))
    found: dict[str, Use] = {}
    for mention in mentions(library, Reader(library), "scripts/train.py"):
        path = f"OUTSIDE {mention.path}" if mention.outside else mention.path
        found[path] = max(found.get(path, Use.NAMED), mention.use)
    return found


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("open('a.csv')", {"a.csv": Use.READ}),
        ("open('a.csv', 'w')", {"a.csv": Use.WRITTEN}),
        ("open('a.csv', mode='ab')", {"a.csv": Use.WRITTEN}),
        ("from pathlib import Path\nPath('out/a').open('x')", {"out/a": Use.WRITTEN}),
        (
            "pd.read_csv('data/raw.csv').to_parquet('b.parquet')",
            {"data/raw.csv": Use.READ, "b.parquet": Use.WRITTEN},
        ),
        ("joblib.dump(m, 'models/m')", {"models/m": Use.WRITTEN}),
        ("torch.save(m, f='m.pt')", {"m.pt": Use.WRITTEN}),
        ("plt.savefig('a.png')", {"a.png": Use.WRITTEN}),
        ("os.makedirs('out', exist_ok=True)", {"out": Use.MADE}),
        ("shutil.copy('a.csv', 'b.csv')", {"a.csv": Use.READ, "b.csv": Use.WRITTEN}),
        ("import os\nP = os.path.join('out', 'x.csv')\nopen(P, 'w')", {"out/x.csv": Use.WRITTEN}),
        ("D = Path('out')\n(D / 'x.csv').write_text('')", {"out/x.csv": Use.WRITTEN}),
        ("open(f'out/{name}.csv', 'w')", {"out": Use.WRITTEN}),
        ("open('out/' + name, 'w')", {"out": Use.WRITTEN}),
        ("B = 'out'\nopen(f'{B}/x.csv', 'w')", {"out/x.csv": Use.WRITTEN}),
        ("Path(__file__).parent.parent.joinpath('data', 'raw.csv').read_text()", {"data/raw.csv": Use.READ}),
        ("R = Path(__file__).resolve().parents[1]\nopen(R / 'x.csv', 'w')", {"x.csv": Use.WRITTEN}),
        ("open(os.environ.get('OUT', 'o.csv'), 'w')", {"o.csv": Use.WRITTEN}),
        ("p.add_argument('--out-path', default='o.csv')\nopen(args.out_path, 'w')", {"o.csv": Use.WRITTEN}),
        ("def main(out='o.csv'):\n    open(out, 'w')", {"o.csv": Use.WRITTEN}),
        ("def put(x, where):\n    open(where, 'w')\nput(1, 'o.csv')", {"o.csv": Use.WRITTEN}),
        ("def put(where):\n    where.mkdir()\nput(where=Path('out/d'))", {"out/d": Use.MADE}),
        ("class C:\n    OUT = 'o.csv'\nopen(C.OUT, 'w')", {"o.csv": Use.WRITTEN}),
        ("Path('o.csv').with_suffix('.json').write_text('')", {"o.json": Use.WRITTEN}),
        ("Path('o/a.csv').with_name('b.csv').read_text()", {"o/b.csv": Use.READ}),
        ("x = 'data/raw.csv'", {"data/raw.csv": Use.NAMED}),
        ("run('model.pkl')", {"model.pkl": Use.NAMED}),
        ("open('/etc/passwd')", {"OUTSIDE /etc/passwd": Use.READ}),
        ("open('../up.csv')", {"OUTSIDE ../up.csv": Use.READ}),
        ("pd.read_csv('https://x.org/a.csv')", {"OUTSIDE https://x.org/a.csv": Use.READ}),
    ],
)
def test_a_path_and_what_is_done_with_it_are_recognised(
    source: str, expected: dict[str, Use], tmp_path: Path
) -> None:
    found = uses(tmp_path, source)
    assert {path: found.get(path) for path in expected} == expected
    assert all(use is Use.NAMED for path, use in found.items() if path not in expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""Reads data.csv and more."""',
        "x['data/raw.csv']",
        "print('see out/x.csv')",
        "if name == 'a.csv': pass",
        "x = {'out.csv': 1}",
        "y = 'application/json'",
        "y = 'text with a/slash'",
        "y = '%Y/%m/%d'",
        "','.join(['a.b', 'c'])",
        "z = 'accuracy'",
        "open(path)",
        "open(f'{path}.csv')",
        "x = 1 / 2",
    ],
)
def test_what_is_no_path_is_left_alone(source: str, tmp_path: Path) -> None:
    assert uses(tmp_path, source) == {}


def test_constants_of_another_module_are_followed_and_only_the_used_ones(tmp_path: Path) -> None:
    config = "OUT = 'out/x.csv'\nOTHER = 'other.csv'\n"
    assert uses(tmp_path, "import config\nopen(config.OUT, 'w')", config=config) == {"out/x.csv": Use.WRITTEN}
    assert uses(tmp_path, "from config import OUT as o\nopen(o)", config=config) == {"out/x.csv": Use.READ}


def test_functions_of_another_module_count_if_they_are_used(tmp_path: Path) -> None:
    library = "def save():\n    open('s.csv', 'w')\ndef load():\n    open('l.csv')\n"
    assert uses(tmp_path, "import io_\nio_.save()", io_=library) == {"s.csv": Use.WRITTEN}


def test_names_that_stand_for_each_other_end(tmp_path: Path) -> None:
    assert uses(tmp_path, "a = b\nb = a\nopen(a)") == {}


def test_deep_and_broken_source_is_no_trouble(tmp_path: Path) -> None:
    assert uses(tmp_path, "x = " + "(" * 5000) == {}
    assert uses(tmp_path, "x = " + "-" * 50_000 + "1") == {}
    assert uses(tmp_path, "x = 'a' + " * 500 + "'b'") == {}


def test_modules_that_import_names_from_each_other_end(tmp_path: Path) -> None:
    both = "from {} import path\ndef f(): open(path)\n"
    assert uses(tmp_path, "import one\none.f()", one=both.format("two"), two=both.format("one")) == {}


def test_names_that_are_made_of_many_names_take_no_time(tmp_path: Path) -> None:
    chain = "".join(f"a{number} = a{number + 1} + a{number + 1}\n" for number in range(50))
    assert uses(tmp_path, f"{chain}a50 = 'x.csv'\nopen(a0)")["x.csv"] is Use.NAMED
