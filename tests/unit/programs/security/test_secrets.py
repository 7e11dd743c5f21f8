"""What is a secret in a file of the tree, and what only looks like one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from penstock.programs.security.secrets import scan
from security_samples import GITHUB, KEY, PASSWORD, Project, places

HEX = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
AWS = "AKIA" + "Q3EGRWTHKJ7LP2XM"
SECRETS: dict[str, tuple[str, str | bytes]] = {
    # what detect-secrets and gitleaks both miss
    "an environment file": (".env", f"MYSQL_ROOT_PASSWORD={PASSWORD}"),
    "an exported variable": ("run.sh", f"export DB_PASSWORD={PASSWORD}"),
    "a variable of a container": ("README.md", f"docker run -e POSTGRES_PASSWORD={PASSWORD} postgres"),
    "a query": ("app.py", f'connect("host=db;USER=sa;PASSWORD={PASSWORD};")'),
    "an argument": ("Makefile", f"\tmysql --user root --password {PASSWORD}"),
    "an argument with a sign": ("deploy.py", f'run(["tool", "--api-key=k3y{PASSWORD}"])'),
    "an image": ("Dockerfile", f"ENV API_TOKEN=t0k{PASSWORD}"),
    "YAML": ("values.yaml", f"db:\n  password: {PASSWORD}  # of the test system"),
    "YAML in quotes": ("values.yml", f'password: "{PASSWORD}"'),
    "JSON": ("config.json", f'{{"client_secret": "s3cr3t{PASSWORD}"}}'),
    "TOML": ("config.toml", f'api_key = "k3y{PASSWORD}"'),
    "properties": ("app.properties", f"spring.datasource.password={PASSWORD}"),
    "INI": ("setup.cfg", f"[db]\npasswd : {PASSWORD}"),
    "Python": ("app.py", f"password = '{PASSWORD}'"),
    "Python with a type": ("app.py", f'db_password: str = "{PASSWORD}"'),
    "an argument's default": ("app.py", f'def connect(password="{PASSWORD}"): ...'),
    "a comparison": ("a.py", f'if token == "t0k{PASSWORD}": ...'),
    "a mapping": ("app.py", f'settings["SECRET_KEY"] = "dj4ng0{PASSWORD}"'),
    "JavaScript": ("app.js", f"const apiKey = 'k3y{PASSWORD}';"),
    "Go": ("main.go", f'authToken := "t0k{PASSWORD}"'),
    "Ruby": ("app.rb", f"secret_token => 't0k{PASSWORD}'"),
    "a password of words": ("values.yaml", "password: correcthorse"),
    "an address": ("app.py", f'url = "postgresql://penny:{PASSWORD}@db.internal:5432/churn"'),
    "an index": ("requirements.txt", f"--index-url https://ci:{PASSWORD}@pypi.example.com/simple"),
    "a header": ("call.sh", f"curl -H 'Authorization: Bearer {PASSWORD}{HEX[:20]}' https://api"),
    ".netrc": (".netrc", f"machine api.example.com login ci password {PASSWORD}"),
    "SQL": ("init.sql", f"CREATE USER penny IDENTIFIED BY '{PASSWORD}';"),
    "XML": ("settings.xml", f"<password>{PASSWORD}</password>"),
    "a registry": ("config.json", '{"auths": {"r.io": {"auth": "' + "cGVubnk6aHVudGVyMnh5enp5" + '"}}}'),
    "a notebook": ("a.ipynb", f'{{"source": ["token = \\"t0k{PASSWORD}\\"\\n"]}}'),
    "GitHub": ("notes.txt", f"the token is {GITHUB}"),
    "a fine-grained token of GitHub": ("a.txt", "github_pat_" + "11ABCDEFG0aBcDeFgHiJkL_mNoPqRsTuVwXyZ0123456789abcdEFGH"),
    "GitLab": ("a.txt", "glpat-" + "xY9_k3L8mQ2pR7sT4vWz"),
    "Hugging Face": ("train.py", 'login("' + "hf_" + "AbCdEfGhIjKlMnOpQrStUvWxYzabcdefgh" + '")'),
    "AWS": ("a.txt", AWS),
    "Google": ("a.txt", "AIza" + "SyD3k9mQ2pR7sT4vWzxY1kL8aB5cE6fG0hJ"),
    "Slack": ("a.txt", "xoxb-" + "123456789012-1234567890123-AbCdEfGhIjKlMnOpQrStUvWx"),
    "a web hook": ("a.txt", "https://hooks.slack.com/services/" + "T0AAAAAA1/B0BBBBBB2/AbCdEfGhIjKlMnOpQrStUvWx"),
    "Azure": ("a.txt", "AccountKey=" + "Zm9v" * 3 + "QmFyQmF6UXV4MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6QUJDREVGR0hJSktM" [:74] + "=="),
    "Databricks": ("a.txt", "dapi" + "3f2b8c9d1e4a5f60718293a4b5c6d7e8"),
    "Stripe": ("a.txt", "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc"),
    "a private key": ("id_rsa", KEY),
    "a private key of a service account": ("sa.json", '{"private_key": "' + KEY.replace("\n", "\\n") + '"}'),
    "a web token": ("a.txt", "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"),
    "drawn at random": ("a.py", 'x = "' + "k9Xv2LqP7wRt4ZyB1nMc8JdF5hGs" + '"'),
    "a long line": ("bundle.js", "var a=1;" * 4000 + f'apiKey="k3y{PASSWORD}";' + "var b=2;" * 4000),
    "Windows lines": ("a.env", f"A=1\r\nDB_PASSWORD={PASSWORD}\r\n"),
    "UTF-16": ("a.txt", f"PASSWORD={PASSWORD}".encode("utf-16")),
    "Latin-1": ("a.properties", f"# Schl\xfcssel\npassword={PASSWORD}".encode("latin-1")),
    "a binary file": ("model.bin", b"\x00\x01\xff" * 99 + f"DB_PASSWORD={PASSWORD}".encode() + b"\x00\xfe"),
    "a binary file's token": ("a.so", b"\x7fELF\x00" + GITHUB.encode() + b"\x00\x00"),
    "a binary file's wide text": ("a.dll", b"MZ\x00\x01" + GITHUB.encode("utf-16-le") + b"\x00\x00"),
}  # fmt: skip
INNOCENT = {
    "a reference of shell": ("run.sh", 'DB_PASSWORD="$SECRET" TOKEN=$(cat token) KEY=${API_KEY:?}'),
    "a reference of GitHub": (".github/workflows/a.yml", "token: ${{ secrets.GITHUB_TOKEN }}"),
    "a permission": (".github/workflows/a.yml", "permissions:\n  id-token: write"),
    "a template": ("a.j2", "password: {{ password }}"),
    "a placeholder": ("a.env", "API_KEY=your-api-key-here\nDB_PASSWORD=changeme\nTOKEN=xxxxxxxx\nSECRET=<secret>"),
    "an environment variable": ("app.py", 'password = os.environ["DB_PASSWORD"]\ntoken = getenv("TOKEN")'),
    "a name": ("app.py", "password = settings.password\nconnect(password=password, token=token)"),
    "a type": ("app.py", "password: str\ntoken: str | None = None"),
    "the beginning of a format": ("app.py", 'text = f"DB_PASSWORD=0ld{password} --token=t0k{token}"'),
    "a format": ("app.py", 'auth = f"Bearer {token}"\nurl = "https://%s:%s@host" % (user, password)'),
    "the name of a secret": ("pipeline.yaml", "publish:\n  image: {username: REGISTRY_USER, password: REGISTRY_PASSWORD}"),
    "a sentence": ("app.py", 'message = {"password": "The password must have eight characters"}'),
    "prose": ("README.md", "Password: it is asked for. The token: a word of the text. secret = hidden"),
    "tokens of a model": ("params.yaml", "max_tokens: 4096\ntokenizer: bert-base-uncased\npad_token: '[PAD]'\neos_token: </s>"),
    "a digest": ("run.json", f'{{"digest": "sha256:{HEX}", "model": "{HEX}"}}'),
    "a hash of DVC": ("data.dvc", "outs:\n- md5: 3863d0e317dee0a55c4e59d2ec0eef33\n  path: data"),
    "a commit": ("action.yml", "uses: actions/checkout@27d5ce7f107fe9357f9df03efb73ab90386fccae"),
    "a lock": ("requirements.lock", f"requests==2.34.2 \\\n    --hash=sha256:{HEX}"),
    "a UUID": ("a.py", 'run = "642735a5-1425-428d-8d4e-3c854885a3c9"'),
    "a path": ("a.py", 'token_file = "/run/secrets/token"\npassword = "/run/secrets/db_password1"'),
    "a column": ("a.py", 'columns = ["MonthlyCharges", "TotalCharges2024", "customerID"]'),
    "a regular expression": ("a.py", r'pattern = re.compile(r"password=(?P<value>\S+)")'),
    "a public key": ("a.pem", "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC KEY-----"),
    "the key of a mapping": ("a.json", '{"primary_key": "customerID", "key": "value1234"}'),
    "an e-mail": ("a.txt", "mailto:ann@example.com, http://user@example.com/"),
}  # fmt: skip


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_found(name: str) -> None:
    path, content = SECRETS[name]
    assert scan(content if isinstance(content, bytes) else content.encode(), path)


@pytest.mark.parametrize("name", INNOCENT)
def test_what_only_looks_like_a_secret_is_not_told(name: str) -> None:
    path, content = INNOCENT[name]
    assert [each.hit.rule for each in scan(content.encode(), path)] == []


def test_a_finding_says_file_and_line(project: Project) -> None:
    project.write("conf/app.env", f"# settings\nNAME=churn\nDB_PASSWORD={PASSWORD}\n")
    (found,) = project.scan()["findings"]
    assert (found["path"], found["line"], found["rule"], found["severity"]) == (
        "conf/app.env", 3, "hardcoded-password", "high",
    )  # fmt: skip


def test_a_secret_that_two_rules_know_is_told_once(project: Project) -> None:
    project.write("a.py", f'GITHUB_TOKEN = "{GITHUB}"')
    (found,) = project.scan()["findings"]
    assert found["rule"] == "github-token"
    assert found["severity"] == "critical"


def test_comments_do_not_make_a_scan_look_away(project: Project) -> None:
    project.write("a.py", f'password = "{PASSWORD}"  # pragma: allowlist secret  # noqa: S105 nosec\n')
    assert places(project.scan()) == [("a.py", 1)]


def test_what_git_ignores_is_not_looked_at_and_what_it_would_take_is(project: Project) -> None:
    project.write(".gitignore", ".env\n")
    project.commit()
    project.write(".env", f"PASSWORD={PASSWORD}")
    project.write("new.env", f"PASSWORD={PASSWORD}")
    assert places(project.scan()) == [("new.env", 1)]


def test_a_project_that_the_repository_around_it_ignores_is_looked_at(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write(".gitignore", "inner\n")
    project.commit()
    project.write("inner/.env", f"PASSWORD={PASSWORD}")
    monkeypatch.setenv("PENSTOCK_ROOT", str(project.root / "inner"))
    assert places(project.scan()) == [(".env", 1)]


def test_only_what_is_asked_for_is_looked_at_and_the_report_says_what_is_left_out(project: Project) -> None:
    for path in ("src/a.env", "src/old/b.env", "docs/c.env", "src/d.txt"):
        project.write(path, f"DB_PASSWORD={PASSWORD}1\n")
    document = project.scan(paths=["src"], exclude=["src/old", "*.txt"])
    assert places(document) == [("src/a.env", 1)]
    assert any("src/old, *.txt" in each for each in document["warnings"])


def test_nothing_to_look_at_is_an_error(project: Project, capsys: pytest.CaptureFixture[str]) -> None:
    project.write("a.txt", "x")
    assert project.start(paths=["nowhere"]) == 2
    assert "there is no file to look at" in capsys.readouterr().err
    assert not (project.out / "result").exists()


HOSTILE = [
    b"a\nb.env", b"-rf.env", b"caf\xe9.env", "e\u0301.env".encode(), b"$(touch x).env", b"\x1b[31mred.env", b" .env",
    "\u202egnp.env".encode(), b"'quoted\".env", b"a\\b.env", b"::error::.env", b"x" * 240 + b".env",
]  # fmt: skip


def test_files_of_hostile_names_are_looked_at(project: Project) -> None:
    project.commit()
    for number, name in enumerate(HOSTILE):
        with open(str(project.root).encode() + b"/" + name, "wb") as file:  # noqa: PTH123 - a name of bytes
            file.write(f"DB_PASSWORD={PASSWORD}{number}\n".encode())
    project.commit()
    document = project.scan("secrets", "code", "pickles", "pins", history=True)
    assert len(places(document)) == len(HOSTILE)
    assert all(not check["problems"] for check in document["checks"])


def test_links_are_not_followed(project: Project) -> None:
    outside = project.root.parent / "outside.env"
    outside.write_text(f"PASSWORD={PASSWORD}")
    project.write("a.txt", "x")
    (project.root / "link.env").symlink_to(outside)
    (project.root / "loop").symlink_to(".")
    assert places(project.scan()) == []


def test_a_file_that_cannot_be_read_is_a_problem_and_no_pass(project: Project) -> None:
    project.write("a.txt", "x")
    project.write("b.txt", "x").chmod(0)
    code = "from security_samples import *; import os, sys; os.setuid(65534); print(__import__('pathlib').Path(sys.argv[1]).read_bytes())"
    denied = subprocess.run(
        [sys.executable, "-c", code, str(project.root / "b.txt")], check=False, capture_output=True
    )
    if denied.returncode == 0:
        pytest.skip("this user may read everything")
    document = project.scan()
    problems = document["checks"][0]["problems"]
    assert problems == [] or "b.txt cannot be read" in problems[0]
