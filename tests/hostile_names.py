"""Names that try to be a command: of branches, as far as git takes them, and of titles."""

from __future__ import annotations

import itertools
import subprocess

COMMAND = "touch${IFS}pwned"
_SHELL = (
    "$({})",
    "a$({})b",
    "`{}`",
    "a`{}`b",
    ";{};",
    "a;{}",
    "|{}",
    "a|{}|b",
    "||{}",
    "&&{}",
    "&{}&",
    "a&{}",
    "'$({})'",
    '"$({})"',
    "';{};'",
    '";{};"',
    "'||{}||'",
    '"||{}||"',
    "${{IFS}}$({})",
    "${{x:-$({})}}",
    "$(({}))",
    "<({})",
    ">({})",
    "a>pwned",
    ">pwned",
    ">>pwned",
    "a<pwned",
    "#{}",
    "a#$({})",
    "(){{ {};}};x",
    "(){{:;}};{}",
    "!{}",
    "{{a,$({})}}",
    "%0a{}",
    "%0A::set-env name=PATH::/x",
    "::error::{}",
    "##vso[task.setvariable variable=PATH]{}",
    "$'\\x60{}\\x60'",
    "eval$IFS{}",
    "$(eval${{IFS}}'{}')",
)
_TEMPLATES = (
    "${{github.token}}",
    "${{secrets.GITHUB_TOKEN}}",
    "a${{github.event.pull_request.title}}b",
    "${{ runner.temp }}",
    "$[[inputs.ref]]",
    "<<pipeline.id>>",
    "$CI_JOB_TOKEN",
    "${CI_JOB_TOKEN}",
    "$(System.AccessToken)",
    "$[variables.x]",
    "%PATH%",
    "{{x}}",
    "<%=`touch pwned`%>",
)
_OPTIONS = (
    "-rf",
    "--help",
    "-c",
    "--",
    "-",
    "--upload-pack=touch${IFS}pwned",
    "--exec=touch${IFS}pwned",
    "-oProxyCommand=touch${IFS}pwned",
    "--profile=main",
    "--event=main",
    "--set=x=1",
    "-m",
    "+x",
    "@file",
)
_WORDS = (
    "main main",
    "main;main",
    "main\tmain",
    "refs/heads/main",
    "refs/tags/v1",
    "heads/main",
    "main=main",
    "true",
    "false",
    "null",
    "0",
    "1",
    "~",
    "yes",
    "schedule",
    "manual",
    "x=y",
    "x:y",
    "x,y",
    "*",
    "a*",
    "?",
    "[a-z]",
    "**/*",
    "{a,b}",
    "..",
    "../../etc/passwd",
    "/etc/passwd",
    "~root",
    "a\\nb",
    "\\",
    "a\\",
    "'",
    '"',
    "`",
    "$",
    "$@",
    "$*",
    "$#",
    "$0",
    "$$",
    "é",
    "名前",
    "\u202emain",
    "ma\u200bin",
    "main\u00a0",
    "🚀",
    "ﬁ",
    "\ufeffmain",
    "x" * 200,
    "a" + "/b" * 60,
)
_TITLES = (
    "two\nlines",
    "x\ntouch pwned\n",
    "$(touch pwned)",
    "`touch pwned`",
    "x\r\nevent=main",
    "\x1b[31mred\x1b[0m",
    "x\n::set-output name=exit-code::0",
    " leading",
    "trailing ",
)


def titles() -> list[str]:
    """Everything: a title may be any text without NUL."""
    commands = [each.replace("{{", "{").replace("}}", "}").replace("{}", COMMAND) for each in _SHELL]
    return list(dict.fromkeys(itertools.chain(commands, _TEMPLATES, _OPTIONS, _WORDS, _TITLES)))


def branches() -> list[str]:
    """Those that git takes for the name of a branch."""
    names = titles()
    return [name for name in (*names, *(f"fix/{each}" for each in names[: len(_SHELL)])) if _accepted(name)]


def _accepted(name: str) -> bool:
    asked = ["git", "check-ref-format", f"refs/heads/{name}"]
    return subprocess.run(asked, check=False).returncode == 0
