"""Secrets that a repository remembers, in histories that git made."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from security_samples import GITHUB, PASSWORD, Document, Project, named


def remembered(project: Project, **options: object) -> list[Document]:
    """The findings of the history; the scan must have been whole."""
    document = project.scan(history=True, **options)
    assert named(document, "secrets")["problems"] == []
    return [each for each in document["findings"] if each["commit"]]


def test_a_secret_that_was_committed_and_taken_out_is_found_with_its_commit(project: Project) -> None:
    project.write("a.txt", "1")
    project.commit()
    project.write("conf/.env", f"A=1\nDB_PASSWORD={PASSWORD}\n")
    commit = project.commit()
    project.write("conf/.env", "A=1\n")
    project.commit()
    (found,) = remembered(project)
    assert (found["path"], found["commit"], found["line"]) == ("conf/.env", commit, None)
    assert "revoke it" in found["remedy"]


def test_a_secret_of_the_tree_is_not_told_again_for_the_history(project: Project) -> None:
    for number in range(3):
        project.write(".env", f"N={number}\nDB_PASSWORD={PASSWORD}\n")
        project.commit()
    document = project.scan(history=True)
    assert [(each["path"], each["commit"]) for each in document["findings"]] == [(".env", None)]


def test_a_secret_in_many_versions_of_a_file_is_told_once_with_the_oldest_commit(project: Project) -> None:
    project.write("x", "1")
    project.commit()
    first = ""
    for number in range(5):
        project.write(".env", f"N={number}\nDB_PASSWORD={PASSWORD}\n")
        first = first or project.commit()
        project.commit()
    (project.root / ".env").unlink()
    project.commit()
    (found,) = remembered(project)
    assert found["commit"] == first


def test_a_secret_that_only_a_merge_brought_in_is_found(project: Project) -> None:
    project.write("a.txt", "1")
    project.commit()
    project.git("checkout", "-q", "-b", "side")
    project.write("b.txt", "2")
    project.commit()
    project.git("checkout", "-q", "main")
    project.write("c.txt", "3")
    project.commit()
    project.git("merge", "-q", "--no-ff", "--no-commit", "side")
    project.write("a.txt", f"DB_PASSWORD={PASSWORD}")
    merge = project.commit("merge")
    project.write("a.txt", "1")
    project.commit()
    (found,) = remembered(project)
    assert (found["path"], found["commit"]) == ("a.txt", merge)


def test_secrets_that_only_a_branch_a_tag_or_a_stash_reaches_are_found(project: Project) -> None:
    project.write("a.txt", "1")
    project.commit()
    for number, keep in enumerate(("branch", "tag")):
        project.git("checkout", "-q", "--detach", "main")
        project.write(f"{keep}.env", f"DB_PASSWORD={PASSWORD}{number}")
        project.commit()
        project.git(keep, f"kept-{keep}")
        project.git("checkout", "-q", "main")
    project.write("a.txt", f"DB_PASSWORD={PASSWORD}9")
    project.git("stash", "-q")
    assert sorted(each["path"] for each in remembered(project)) == ["a.txt", "branch.env", "tag.env"]


def test_messages_of_commits_and_tags_are_looked_at(project: Project) -> None:
    project.write("a.txt", "1")
    commit = project.commit(f"call it with\n\n    DB_PASSWORD={PASSWORD}1")
    project.git("tag", "-a", "v1", "-m", f"the token is {GITHUB}")
    found = {each["rule"]: each for each in remembered(project)}
    assert set(found) == {"hardcoded-password", "github-token"}
    assert found["hardcoded-password"]["commit"] == commit
    assert all(each["path"] == "" for each in found.values())


def test_a_secret_in_a_binary_file_of_the_history_is_found(project: Project) -> None:
    project.write("model.bin", b"\0\1\2" * 100 + GITHUB.encode() + b"\0")
    commit = project.commit()
    (project.root / "model.bin").unlink()
    project.commit()
    (found,) = remembered(project)
    assert (found["path"], found["commit"]) == ("model.bin", commit)


def test_a_file_that_was_renamed_is_found_where_it_was(project: Project) -> None:
    project.write("old.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    project.git("mv", "old.env", "new.env")
    project.commit()
    project.git("rm", "-q", "new.env")
    project.write("a.txt", "1")
    project.commit()
    (found,) = remembered(project)
    assert found["path"] in ("old.env", "new.env")


def test_a_secret_that_moved_within_the_tree_leaves_the_place_where_it_was(project: Project) -> None:
    project.write("old.env", f"A=1\nDB_PASSWORD={PASSWORD}")
    project.commit()
    (project.root / "old.env").unlink()
    project.write("new.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    document = project.scan(history=True)
    assert sorted((each["path"], bool(each["commit"])) for each in document["findings"]) == [
        ("new.env", False), ("old.env", True),
    ]  # fmt: skip


def test_a_replaced_object_does_not_hide_what_it_replaces(project: Project) -> None:
    project.write("a.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    project.write("a.env", "DB_PASSWORD=")
    project.commit()
    clean = project.git("rev-parse", "HEAD:a.env")
    project.git("replace", project.git("rev-parse", "HEAD~1:a.env"), clean)
    assert len(remembered(project)) == 1


def test_a_history_that_is_cut_off_is_no_pass(project: Project, tmp_path: object) -> None:
    project.write("a.txt", "1")
    project.commit()
    project.write("a.txt", "2")
    project.commit()
    full, shallow = project.root, project.root.parent / "shallow"
    project.git("clone", "-q", "--depth", "1", f"file://{full}", str(shallow))
    shutil.rmtree(full)
    shallow.rename(full)
    (problem,) = named(project.scan(history=True), "secrets")["problems"]
    assert "fetch-depth: 0" in problem


def test_a_clone_without_its_files_is_no_pass_and_fetches_none(project: Project) -> None:
    project.write("a.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    project.write("a.env", "1")
    project.commit()
    project.git("config", "uploadpack.allowFilter", "true")
    full, partial = project.root, project.root.parent / "partial"
    project.git("clone", "-q", "--filter=blob:none", f"file://{full}", str(partial))
    full.rename(full.with_name("gone"))
    partial.rename(full)
    problems = named(project.scan(history=True), "secrets")["problems"]
    assert any("partial clone" in each for each in problems)


def test_no_repository_is_no_pass_when_the_history_is_asked_for(project: Project) -> None:
    project.write("a.txt", "1")
    assert named(project.scan(history=True), "secrets")["problems"] == [
        "there is no git repository, so the history was not looked at"
    ]
    assert any("history: false" in each for each in project.scan(history=False)["warnings"])


def test_a_damaged_repository_is_no_pass(project: Project) -> None:
    project.write("a.txt", "x" * 2000)
    project.commit()
    name = project.git("rev-parse", "HEAD:a.txt")
    project.write("a.txt", "y")
    project.commit()
    place = project.root / ".git" / "objects" / name[:2] / name[2:]
    place.chmod(0o600)
    place.unlink()
    problems = named(project.scan(history=True), "secrets")["problems"]
    assert len(problems) == 1
    assert "cannot be" in problems[0] or "missing" in problems[0]


def test_a_repository_before_its_first_commit_is_whole(project: Project) -> None:
    project.git("init", "-q")
    project.write("a.txt", "1")
    assert remembered(project) == []


def test_a_project_below_the_top_of_its_repository_has_the_whole_history_looked_at(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("ml/a.txt", "1")
    project.write("ml/old.env", f"DB_PASSWORD={PASSWORD}1")
    project.write("other.env", f"DB_PASSWORD={PASSWORD}2")
    project.commit()
    project.git("rm", "-q", "ml/old.env", "other.env")
    project.commit()
    monkeypatch.setenv("PENSTOCK_ROOT", str(project.root / "ml"))
    assert sorted(each["path"] for each in remembered(project)) == ["../other.env", "old.env"]
    uris = [
        place["physicalLocation"]["artifactLocation"]["uri"]
        for each in project.read("sarif")["runs"][0]["results"]
        for place in each["locations"]
    ]
    assert sorted(uris) == ["ml/old.env", "other.env"]


def test_a_git_directory_that_lies_elsewhere_is_read(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.write("a.env", f"DB_PASSWORD={PASSWORD}")
    project.commit()
    project.write("a.env", "A=1")
    project.commit()
    elsewhere = project.root.parent / "elsewhere.git"
    (project.root / ".git").rename(elsewhere)
    monkeypatch.setenv("PENSTOCK_GIT", str(elsewhere))
    (found,) = remembered(project)
    assert found["path"] == "a.env"


def test_reading_a_repository_changes_nothing_and_runs_nothing_of_it(project: Project) -> None:
    canary = project.root.parent / "canary"
    project.write("a.env", f"DB_PASSWORD={PASSWORD}")
    project.write(".gitattributes", "*.env diff=evil filter=evil\n")
    project.commit()
    project.write("a.env", "A=1")
    project.commit()
    touch = f"touch {canary}; cat"
    for setting in ("diff.evil.textconv", "diff.evil.command", "filter.evil.clean", "filter.evil.smudge",
                    "core.fsmonitor", "core.pager", "diff.external", "gpg.program"):  # fmt: skip
        project.git("config", setting, touch)
    project.git("config", "log.showSignature", "true")
    before = subprocess.run(
        ["find", ".git", "-newermt", "2000-01-01", "-printf", "%p %T@\n"],
        cwd=project.root,
        check=True,
        capture_output=True,
    ).stdout
    assert len(remembered(project)) == 1
    after = subprocess.run(
        ["find", ".git", "-newermt", "2000-01-01", "-printf", "%p %T@\n"],
        cwd=project.root,
        check=True,
        capture_output=True,
    ).stdout
    assert not canary.exists()
    assert before == after
