"""Rules of our own for what detect-secrets does not find, or finds too often."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

CRITICAL, HIGH, MEDIUM = "critical", "high", "medium"


@dataclass(frozen=True, slots=True)
class Hit:
    """A secret on a line.

    Attributes:
        value: The secret itself, which nothing but a seal leaves this process of.
        what: What it is, in words that do not hold it.
    """

    rule: str
    severity: str
    value: str
    what: str


TOKENS: tuple[tuple[str, str, re.Pattern[str]], ...] = tuple(
    (rule, what, re.compile(pattern))
    for rule, what, pattern in (
        ("github-token", "a token of GitHub", r"\b(?:github_pat_\w{40,255}|gh[opsur]_[A-Za-z0-9]{36,255})"),
        ("gitlab-token", "a token of GitLab", r"\bgl(?:pat|ptt|[dfr]t|cbt|soat|agent|imt|oas)-[\w-]{20,64}"),
        ("huggingface-token", "a token of Hugging Face", r"\bhf_[A-Za-z]{34,40}\b"),
        ("openai-key", "a key of OpenAI", r"\bsk-[\w-]{20,200}T3BlbkFJ[\w-]{20,200}"),
        ("anthropic-key", "a key of Anthropic", r"\bsk-ant-[a-z]+\d{2}-[\w-]{40,}"),
        ("google-key", "a key of Google", r"\bAIza[\w-]{35}\b"),
        ("google-oauth", "a client secret of Google", r"\bGOCSPX-[\w-]{28}\b"),
        ("aws-key", "an access key of AWS", r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b"),
        ("azure-key", "an account key of Azure", r"(?i)\bAccountKey=([A-Za-z0-9+/]{86}==)"),
        ("azure-sas", "a signature of Azure", r"[?&]sig=([A-Za-z0-9%+/]{43,}(?:%3D|=))"),
        ("databricks-token", "a token of Databricks", r"\bdapi[0-9a-f]{32}(?:-\d)?\b"),
        ("vault-token", "a token of Vault", r"\bhv[sbr]\.[\w-]{24,}"),
        ("digitalocean-token", "a token of DigitalOcean", r"\bdo[opr]_v1_[0-9a-f]{64}\b"),
        ("slack-token", "a Slack token", r"\b(?:xox[abeoprs]-(?:\d+-)+|xapp-\d-[A-Z0-9]+-\d+-)[A-Za-z0-9]+"),
        ("slack-webhook", "a web hook of Slack", r"https://hooks\.slack\.com/(?:services|workflows)/T\w+/\w+/\w+"),
        ("npm-token", "a token of npm", r"\bnpm_[A-Za-z0-9]{36}\b"),
        ("pypi-token", "a token of PyPI", r"\bpypi-AgE[A-Za-z0-9_-]{50,}"),
        ("docker-token", "a token of Docker Hub", r"\bdckr_pat_[\w-]{27,}"),
        ("stripe-key", "a key of Stripe", r"\b[rs]k_live_[A-Za-z0-9]{20,}"),
        ("sendgrid-key", "a key of SendGrid", r"\bSG\.[\w-]{22}\.[\w-]{43}\b"),
        ("age-key", "a key of age", r"\bAGE-SECRET-KEY-1[0-9A-Z]{58}\b"),
        ("dagger-token", "a token of Dagger Cloud", r"\bdag_[a-z0-9-]+_[A-Za-z0-9]{32,}"),
    )
)  # fmt: skip
"""(rule, what it is, pattern): formats that nothing else has."""

PRIVATE_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:\\[nr]|[\sA-Za-z0-9+/=:,.\-\"'()]){0,400}?(?P<value>[A-Za-z0-9+/=]{40,})"
)
_PASSWORD = r"pass(?:word|wd|phrase)|pwd"  # noqa: S105 - a pattern
_OTHER = (
    r"secret|token|credentials?|authkey|conn(?:ection)?[_-]?str(?:ing)?"
    r"|(?:api|access|auth|private|account|master|signing|encryption|secret|ssh|aes|shared)[_-]?key"
)
_KEYWORD = rf"(?P<password>{_PASSWORD})|(?P<other>{_OTHER})"
_SUFFIX = r"(?:[_-]?(?:\d+|value|plain|prod|dev|staging|default|base|base64|b64|old|new|key|raw))*"
_QUOTED = r"""[rbf]?(?P<quote>["'`])(?P<quoted>(?:(?!(?P=quote))[^\\\r\n]|\\.){3,500}?)(?P=quote)"""
_BARE = r"""(?P<bare>[^\s"'`,;(){}\[\]<>|&\\]{3,300}+)(?!\{)"""
ASSIGNMENT = re.compile(
    # a name begins where no other does, and is not endless: a picture as text would take forever
    rf"""(?i)(?<![\w.-])(?P<name>[\w.-]{{0,80}}?(?:{_KEYWORD}){_SUFFIX})(?![\w.-])["']?\]?"""
    r"""(?P<type>\s*:\s*[A-Za-z_][\w\[\]|., ]{0,60}(?==))?"""
    r"""(?P<space>\s*)(?P<sign>:=|=>|==?|:)(?P<after>\s*)"""
    rf"""(?:{_QUOTED}|{_BARE})"""
)
_FLAG = re.compile(
    rf"""(?i)--(?:[a-z]{{1,20}}-){{0,5}}(?:{_KEYWORD})(?:["',=]|\s)+(?P<bare>[^\s"'`,;$<{{(\[\]\\)-][^\s"'`,;<>\\)\]]{{2,200}})"""
)
_URL = re.compile(
    r"\b[a-z][a-z0-9+.-]{1,20}://[^\s:/?#@\"'<>{}$]{0,100}:(?P<bare>[^\s/?#@\"'<>]{3,200})@[\w\[]"
)
_HEADER = re.compile(
    r"""(?i)\bauthorization["']?\s*[:=,]\s*["']?(?:bearer|basic|token)\s+(?P<bare>[\w.~+/=-]{12,})"""
)
_LOGIN = re.compile(r"\blogin\s+\S+\s+password\s+(?P<bare>\S{3,})")
_SQL = re.compile(
    r"(?i)\b(?:identified\s+by|with\s+(?:encrypted\s+)?password|set\s+password\s*=)\s+'(?P<bare>[^']{3,200})'"
)
_XML = re.compile(r"(?i)<(?P<tag>[\w.-]*(?:password|passwd|secret|token))>(?P<bare>[^<>${}\s]{4,200})</")
_DOCKER = re.compile(r"""["']auth["']\s*:\s*["'](?P<bare>[A-Za-z0-9+/]{12,}={0,2})["']""")
_SHAPES = (
    ("password-flag", "a password on a command line", _FLAG),
    ("password-in-url", "a password in an address", _URL),
    ("authorization-header", "credentials in a header", _HEADER),
    ("netrc-password", "a password of a .netrc file", _LOGIN),
    ("sql-password", "a password in SQL", _SQL),
    ("xml-password", "a secret in XML", _XML),
    ("docker-auth", "credentials of a registry", _DOCKER),
)

_CODE = re.compile(
    r"\.(?:pyi?|ipynb|[cm]?[jt]sx?|java|kt|scala|go|rs|[ch](?:c|pp|xx)?|cs|rb|php|swift|m|r|jl|lua|pl|sql|vue"
    r"|svelte|dart|ex|groovy|j2|jinja|css|html)"
)
_PROSE = re.compile(r"\.(?:md|rst|txt|adoc|log|csv|tsv)")
_WORDS = """
your my the some any this that a an of for to is be not no as in on or and with without from by
example sample dummy fake test tests testing changeme change me please fill set use used using
placeholder redacted hidden masked removed omitted none null nil true false undefined unset empty todo tbd
password passwd passphrase pass pwd secret secrets token tokens key keys api access auth private account
value values string str text here insert replace default foo bar baz qux name user username
bytes int bool float object optional any dict list read write invalid wrong bad missing unknown required
abc xyz credentials credential id hash bearer basic env environ var variable file path prompt input
"""
_PLACEHOLDERS = frozenset(_WORDS.split())
_REFERENCE = re.compile(
    r"^(?:\$|%[({]|@|!|<|\{\{?|\*+$|os\.|env[.:]|secrets?[.:/]|vault:|ref\+|file:|ssm:|arn:|self\.|args\.|settings\.|config\.)"
)
_PUBLIC = ("Eby8vdM02xNO",)
"""How secrets begin that everybody knows: that of the emulator of Azure's storage."""
_TEMPLATE = re.compile(r"\(\?|\{[^}]*\}|%\(?\w*\)?s|<[^<>]+>|\$\w|\$\{")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_SPACE = re.compile(r"\s")
_PATH = re.compile(r"(?:[~.]{0,2}/)[\w.-]+(?:/[\w.-]+)*/?")


def hits(line: str, path: str) -> Iterator[Hit]:
    """The secrets that rules of our own find on a line.

    Args:
        line: Without its end.
        path: Tells what its file is, which decides how a bare word is read.
    """
    for rule, what, pattern in TOKENS:
        for found in pattern.finditer(line):
            value = found[found.lastindex or 0]
            if not is_placeholder(value) and entropy(value) > 2.5:  # noqa: PLR2004 - less is made up by hand
                yield Hit(rule, CRITICAL, value, what)
    for rule, what, pattern in _SHAPES:
        for found in pattern.finditer(line):
            value = found["bare"].rstrip(".,")
            # a word of letters alone is as likely prose, where nothing encloses it
            if not is_placeholder(value) and (pattern is not _FLAG or any(map(str.isdigit, value))):
                yield Hit(rule, HIGH, value, what)
    for found in ASSIGNMENT.finditer(line):
        hit = _assigned(found, PurePosixPath(path))
        if hit is not None:
            yield hit


def is_placeholder(value: str) -> bool:
    """Whether a value only stands where a secret would be: a reference, a pattern, a word that says so."""
    if value.startswith(_PUBLIC):
        return True
    if _REFERENCE.match(value) or _TEMPLATE.search(value) or _VARIABLE.fullmatch(value):
        return True
    plain = [sign for sign in value if sign.isalnum()]
    if len(set(plain)) <= 2 or "..." in value or "…" in value:  # noqa: PLR2004 - xxxx, 0000, ****, x1x1
        return True
    words = [word for word in re.split(r"[\W_\d]+|(?<=[a-z])(?=[A-Z])", value) if word]
    return all(word.lower() in _PLACEHOLDERS for word in words) and any(map(str.isalpha, value))


def entropy(value: str) -> float:
    """Shannon's, in bits for each character."""
    counts = Counter(value)
    return -sum(each / len(value) * math.log2(each / len(value)) for each in counts.values())


def _assigned(found: re.Match[str], path: PurePosixPath) -> Hit | None:
    quoted, bare = found["quoted"], found["bare"]
    value = quoted if quoted is not None else (bare or "").rstrip(".:")
    if is_placeholder(value) or _PATH.fullmatch(value):
        return None
    if quoted is None and not _is_literal(found, value, path):
        return None
    name = "password" if found["password"] else "secret"
    letters_only = not any(sign.isdigit() for sign in value)
    if found["password"]:
        if _SPACE.search(value) and letters_only:
            return None  # a sentence about one
        plain = letters_only and value.isalpha()
        return Hit("hardcoded-password", MEDIUM if plain else HIGH, value, f"a {name} that is written down")
    if _SPACE.search(value) or not _is_random(value):
        return None
    return Hit("hardcoded-secret", HIGH, value, "a secret, token or key that is written down")


def _is_literal(found: re.Match[str], value: str, path: PurePosixPath) -> bool:
    """Whether a bare word is a value; in code, it rather is the name of one."""
    if found["sign"] == "==" or value.startswith("="):
        return False
    suffix = path.suffix.lower()
    prose = _PROSE.fullmatch(suffix)
    if not prose and not _CODE.fullmatch(suffix):
        return True
    tight = found["sign"] == "=" and not found["space"] and not found["after"]
    own = found["name"].rpartition(".")[2]
    return tight and any(map(str.isdigit, value)) and (own.isupper() or bool(prose))


def _is_random(value: str) -> bool:
    """Whether a value looks drawn and not written: long enough, letters and digits mixed."""
    digits = sum(map(str.isdigit, value))
    mixed = digits and digits < len(value) and any(map(str.isalpha, value))
    return bool(mixed) and len(value) >= 8 and entropy(value) >= 2.5  # noqa: PLR2004 - as `hunter2!` is not
