"""The wrappers as files: what schemas and linters say of them, and that they agree with each other."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import penstock
from github_expressions import holds
from penstock.report import scans
from penstock.scaffold.ci_files import SYSTEMS, Reference, render
from wrapper_samples import ROOT

WRAPPERS = ROOT / "ci-wrappers"
DOCUMENTED = Reference(name=f"v{penstock.__version__}")
PINNED = Reference(name="0123456789abcdef0123456789abcdef01234567", version="v0.1.0")
ACTION = WRAPPERS / "github" / "action.yml"
WORKFLOW = ROOT / ".github" / "workflows" / "penstock.yml"
PLAIN = WRAPPERS / "gitlab" / "penstock.yml"
COMPONENT = ROOT / "templates" / "penstock.yml"
SCHEMAS = {
    "github": "github-workflows",
    "gitlab": "gitlab-ci",
    "circleci": "circle-ci",
    "azure": "azure-pipelines",
    "buildkite": "buildkite",
}


def program(name: str) -> str:
    """A tool of the development environment."""
    found = shutil.which(name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if not found:
        pytest.skip(f"{name} is not here: `uv sync` installs it")
    return found


def check(*command: str) -> None:
    done = subprocess.run([program(command[0]), *command[1:]], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def interpolated(value: Any, given: dict[str, Any]) -> Any:
    """What GitLab makes of a component with these inputs."""
    if isinstance(value, dict):
        return {interpolated(name, given): interpolated(each, given) for name, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each, given) for each in value]
    if not isinstance(value, str):
        return value
    if whole := re.fullmatch(r"\$\[\[ inputs\.(\w+) \]\]", value):
        return given[whole[1]]
    return re.sub(r"\$\[\[ inputs\.(\w+) \]\]", lambda found: str(given[found[1]]), value)


def component() -> tuple[dict[str, Any], dict[str, Any]]:
    head, body = yaml.safe_load_all(COMPONENT.read_text())
    return head["spec"]["inputs"], body


@pytest.mark.parametrize("system", SCHEMAS)
def test_what_a_user_gets_fits_the_schema_of_the_system(system: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yml"
    path.write_text(render(system, PINNED))
    # of Python, as the other engine cannot read an expression in the schema of Azure
    schema = f"vendor.{SCHEMAS[system]}"
    check("check-jsonschema", "--regex-variant", "python", "--builtin-schema", schema, str(path))


def test_the_wrappers_fit_the_schemas(tmp_path: Path) -> None:
    check("check-jsonschema", "--builtin-schema", "vendor.github-workflows", str(WORKFLOW))
    check("check-jsonschema", "--builtin-schema", "vendor.github-actions", str(ACTION))
    inputs, jobs = component()
    given = {name: each.get("default", "v0.1.0") for name, each in inputs.items()}
    head, body = tmp_path / "head.yml", tmp_path / "body.yml"
    head.write_text(yaml.safe_dump({"spec": {"inputs": inputs}}))
    body.write_text(yaml.safe_dump(interpolated(jobs, given)))
    for path in (PLAIN, head, body):
        check("check-jsonschema", "--builtin-schema", "vendor.gitlab-ci", str(path))


def test_zizmor_finds_nothing_at_its_most_pedantic(tmp_path: Path) -> None:
    user = tmp_path / ".github" / "workflows" / "penstock.yml"
    user.parent.mkdir(parents=True)
    user.write_text(render("github", PINNED))
    check("zizmor", "--offline", "--pedantic", "--no-config", str(WORKFLOW), str(ACTION), str(user))


def test_zizmor_would_find_something(tmp_path: Path) -> None:
    path = tmp_path / "action.yml"
    text = ACTION.read_text().replace('penstock-ci.sh" run', 'penstock-ci.sh" run ${{ github.head_ref }}')
    path.write_text(text)
    with pytest.raises(AssertionError, match="template-injection"):
        check("zizmor", "--offline", "--pedantic", "--no-config", str(path))


def test_shellcheck_finds_nothing_in_any_script(tmp_path: Path) -> None:
    check("shellcheck", "--shell=sh", str(WRAPPERS / "penstock-ci.sh"))
    _, body = component()
    plain = yaml.safe_load(PLAIN.read_text())
    scripts = [
        *(step["run"] for step in yaml.safe_load(ACTION.read_text())["runs"]["steps"] if "run" in step),
        *("\n".join(job[key]) for job in (*plain.values(), *body.values()) for key in _scripts(job)),
    ]
    assert len(scripts) >= 8
    for number, script in enumerate(scripts):
        path = tmp_path / f"{number}.sh"
        path.write_text(f"{script}\n")
        check("shellcheck", "--shell=sh", str(path))


def _scripts(job: dict[str, Any]) -> list[str]:
    return [key for key in ("before_script", "script", "after_script") if key in job]


@pytest.mark.parametrize("system", ["github", "gitlab"])
def test_what_init_writes_is_what_the_documentation_shows(system: str) -> None:
    text = (WRAPPERS / "README.md").read_text()
    shown = text.partition(f"<!-- penstock init --ci {system} -->\n```yaml\n")[2].partition("```")[0]
    assert shown == render(system, DOCUMENTED)
    assert f"`{SYSTEMS[system][0]}`:\n" in text


@pytest.mark.parametrize("system", ["circleci", "jenkins", "azure", "buildkite"])
def test_the_files_of_the_other_systems_are_what_init_writes(system: str) -> None:
    path = WRAPPERS / system / Path(SYSTEMS[system][0]).name
    assert path.read_text() == render(system, DOCUMENTED)


def test_every_input_is_documented_with_its_default() -> None:
    text = (WRAPPERS / "README.md").read_text()
    github, gitlab = text.partition("\n## GitLab")[0], text.partition("\n## GitLab")[2]
    workflow = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_call"]["inputs"]
    action = yaml.safe_load(ACTION.read_text())["inputs"]
    cells = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]]
        for line in github.splitlines()
        if line[:1] == "|"
    ]
    rows = {row[0]: row for row in cells if set(row[0]) - set("- ")}
    assert set(workflow) | set(action) == set(rows) - {"dagger", "local", "executor", "input"} | {"executor"}
    for name, (_, default, _) in rows.items():
        if name in workflow | action and name != "token":
            value = (workflow.get(name) or action[name])["default"]
            assert default == (str(value).lower() if isinstance(value, bool) else str(value)), name
    for name in set(workflow) ^ set(action):
        assert ("workflow only" if name in workflow else "action only") in rows[name][2], name
    assert set(component()[0]) <= set(re.findall(r"`([a-z]+)`", gitlab))


def test_workflow_and_action_have_the_same_defaults() -> None:
    workflow = yaml.safe_load(WORKFLOW.read_text())[True]["workflow_call"]["inputs"]
    action = yaml.safe_load(ACTION.read_text())["inputs"]
    for name in set(workflow) & set(action):
        assert str(workflow[name]["default"]).lower() == str(action[name]["default"]).lower(), name
    (job,) = yaml.safe_load(WORKFLOW.read_text())["jobs"].values()
    handed = job["steps"][-1]["with"]
    assert set(handed) == set(workflow) & set(action)
    assert all(value == f"${{{{ inputs.{name} }}}}" for name, value in handed.items())


def test_the_component_holds_the_jobs_of_the_include() -> None:
    plain, (inputs, body) = yaml.safe_load(PLAIN.read_text()), component()
    job = body.pop("$[[ inputs.job ]]")
    filtered = body[".penstock"].pop("rules")
    rules = plain[".penstock"].pop("rules")
    assert body == plain
    request = rules[0]["if"]
    assert filtered == [
        rules[0] | {"changes": "$[[ inputs.changes ]]"},
        {"if": request, "when": "never"},
        *rules[1:],
    ]
    text = str(job)
    for name in set(inputs) - {"changes", "job"}:
        assert f"$[[ inputs.{name} ]]" in text, name


def test_everything_of_others_is_pinned_by_commit_and_says_its_version() -> None:
    for path in (WORKFLOW, ACTION):
        for line in re.findall(r"^ +uses: (.*)$", path.read_text(), re.MULTILINE):
            assert re.fullmatch(
                r"(?:actions|github)/[\w/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+|\$/ci-wrappers/github", line
            ), line


def test_an_action_has_one_commit_in_all_files() -> None:
    text = WORKFLOW.read_text() + ACTION.read_text() + (WRAPPERS / "README.md").read_text()
    pins = set(re.findall(r"(actions/[a-z-]+)\S*@([0-9a-f]{40})", text))
    assert len(pins) == len({name for name, _ in pins}) == 3


def test_permissions_are_the_two_that_are_needed() -> None:
    needed = {"contents": "read", "pull-requests": "write"}
    for text in (WORKFLOW.read_text(), render("github", PINNED)):
        workflow = yaml.safe_load(text)
        assert workflow["permissions"] == {}
        (job,) = workflow["jobs"].values()
        assert job["permissions"] == needed
        assert "pull_request_target" not in text
        assert "secrets" not in text


def test_what_scans_found_is_handed_over_where_that_is_asked_for_and_allowed() -> None:
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    (upload,) = [step for step in steps if "upload-sarif" in step.get("uses", "")]
    event = {"event_name": "pull_request", "repository": "o/r"}
    for asked, made, head, expected in (
        ("true", "true", "o/r", True),
        ("false", "true", "o/r", False),
        ("true", "", "o/r", False),
        ("true", "true", "stranger/r", False),
    ):
        contexts = {
            "inputs": {"code-scanning": asked},
            "steps": {"run": {"outputs": {"sarif": made}}},
            "github": {**event, "event": {"pull_request": {"head": {"repo": {"full_name": head}}}}},
        }
        assert holds(upload["if"], contexts, "failure") is expected
    reports = yaml.safe_load(PLAIN.read_text())[".penstock"]["artifacts"]["reports"]
    assert {reports["codequality"], reports["secret_detection"]} == {
        f"penstock-report/{name}" for name in (scans.CODE_QUALITY, scans.SECRETS)
    }
    assert upload["with"]["sarif_file"].endswith(f"/{scans.SARIF}")


def test_a_pull_request_writes_no_cache_of_github() -> None:
    steps = yaml.safe_load(ACTION.read_text())["runs"]["steps"]
    (save,) = [step for step in steps if "cache/save" in step.get("uses", "")]
    assert "github.event_name != 'pull_request'" in save["if"]
    assert not [step for step in steps if step.get("uses", "").startswith("actions/cache@")]


def test_a_merge_request_has_a_cache_of_its_own_on_gitlab() -> None:
    jobs = yaml.safe_load(PLAIN.read_text())
    cache = jobs[".penstock-local"]["cache"]
    assert cache["key"] == "penstock-$PENSTOCK_CACHE-$CI_MERGE_REQUEST_IID"
    assert cache["fallback_keys"] == ["penstock-protected-"]
    named = [
        rule["variables"]["PENSTOCK_CACHE"] for rule in jobs[".penstock"]["rules"] if "variables" in rule
    ]
    assert named == ["request", "protected", "branch"]


def test_the_repository_has_one_address() -> None:
    owner = penstock.REPOSITORY.partition("/")[2]
    assert component()[0]["repository"]["default"] == f"https://{penstock.REPOSITORY}"
    variables = yaml.safe_load(PLAIN.read_text())[".penstock"]["variables"]
    assert variables["PENSTOCK_REPOSITORY"] == f"https://{penstock.REPOSITORY}"
    for system in SYSTEMS:
        assert owner in render(system, PINNED)
        assert "@" not in render(system, PINNED).replace(f"@{PINNED.name}", "").replace("Results@2", "")
    readme = (WRAPPERS / "README.md").read_text()
    assert set(re.findall(r"[\w-]+/penstock(?=[/@])", readme)) == {owner}


def test_the_readme_knows_every_variable_of_the_script() -> None:
    script = (WRAPPERS / "penstock-ci.sh").read_text()
    used = set(re.findall(r"PENSTOCK_[A-Z0-9_]+", script)) - {"PENSTOCK_TRIGGER"}
    shown = (WRAPPERS / "README.md").read_text().partition("## Variables")[2]
    assert used == set(re.findall(r"PENSTOCK_[A-Z0-9_]+", shown))


def test_the_pinned_dagger_is_the_one_that_the_module_is_written_for() -> None:
    version = re.search(r"DAGGER_VERSION=(\S+)", (WRAPPERS / "penstock-ci.sh").read_text())
    assert version
    assert f'"dagger-io=={version[1]}"' in (ROOT / "pyproject.toml").read_text()
    assert f"CLI {version[1]}" in (WRAPPERS / "README.md").read_text()
