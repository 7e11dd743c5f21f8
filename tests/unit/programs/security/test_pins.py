"""What is not pinned: requirements, images, actions."""

from __future__ import annotations

import pytest

from security_samples import Project, named

DIGEST = "@sha256:" + "ab" * 32
HASH = "--hash=sha256:" + "ab" * 32
COMMIT = "@" + "ab" * 20
FOUND: dict[str, tuple[str, str, list[tuple[str, int]]]] = {
    "requirements": (
        "requirements.txt",
        f"a==1 {HASH}\nb>=2\nc==3\nd\n-r more.txt\n# e\n--index-url https://x\nf @ git+https://x/f@{'ab' * 20}\n",
        [("requirement-unpinned", 2), ("requirement-without-hash", 3), ("requirement-unpinned", 4)],
    ),
    "a Dockerfile": (
        "docker/Dockerfile",
        ("# FROM no\nARG BASE=python:3.12\nFROM ${BASE} AS base\nFROM base\nCOPY --from=base /a /b\n"
        f"COPY --from=golang:1.22 /x /y\nFROM scratch\nFROM python{DIGEST}\nFROM $UNKNOWN\n"
        "FROM --platform=linux/amd64 \\\n  debian:12\n"),
        [("image-unpinned", 3), ("image-unpinned", 6), ("image-unpinned", 10)],
    ),
    "a workflow": (
        ".github/workflows/ci.yml",
        ("jobs:\n  a:\n    container: python:3.12\n    services:\n      db: {image: postgres}\n    steps:\n"
        f"    - uses: actions/checkout@v4\n    - uses: actions/cache{COMMIT}\n    - uses: ./local\n"
        f"    - uses: docker://alpine:3\n    - uses: docker://alpine{DIGEST}\n  b:\n    uses: o/r/.github/workflows/x.yml@main\n"),
        [("image-unpinned", 3), ("image-unpinned", 5), ("action-unpinned", 7), ("image-unpinned", 10), ("action-unpinned", 13)],
    ),
    "a composite action": ("act/action.yml", "runs:\n  steps:\n  - uses: a/b@main\n", [("action-unpinned", 3)]),
    "GitLab": (
        ".gitlab-ci.yml",
        (f"image: python:3.12\ninclude:\n- component: gitlab.com/a/b@~latest\n- component: gitlab.com/a/b{COMMIT}\n"
        f"test:\n  image: {{name: 'node:20'}}\n  services: ['redis:7', {{name: 'db:1'}}]\n  script: [echo image]\nx:\n  image: y{DIGEST}\nz:\n  image: $IMAGE\n"),
        [("image-unpinned", 1), ("component-unpinned", 3), ("image-unpinned", 6), ("image-unpinned", 7), ("image-unpinned", 7)],
    ),
    "compose": ("compose.yaml", "services:\n  db:\n    image: postgres:16\n    build: .\n", [("image-unpinned", 3)]),
    "the pipeline": (
        "pipelines/default.yaml",
        ("version: 1\nenvironment: {image: 'python:3.12-slim'}\nstages:\n  a:\n    run: x\n    accelerator:\n"
        f"      cuda: {{image: 'pytorch/pytorch:2'}}\n    environment: {{image: python{DIGEST}}}\npublish:\n  image: {{base: 'debian:12', repository: r/x}}\n"),
        [("image-unpinned", 2), ("image-unpinned", 7), ("image-unpinned", 10)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FOUND)
def test_what_is_not_pinned_is_told_with_its_line(project: Project, name: str) -> None:
    path, content, expected = FOUND[name]
    project.write("more.txt", f"z==1 {HASH}\n")
    project.write(path, content)
    document = project.scan("pins")
    found = [(each["rule"], each["line"]) for each in document["findings"]]
    assert sorted(found, key=lambda each: (each[1], each[0])) == expected
    assert named(document, "pins")["problems"] == []


def test_a_lock_that_the_pipeline_installs_from_is_looked_at_whatever_it_is_called(project: Project) -> None:
    project.write("env/locked.lst", "a>=1\n")
    (found,) = project.scan("pins", requirements=["env/locked.lst"])["findings"]
    assert (found["rule"], found["path"]) == ("requirement-unpinned", "env/locked.lst")


@pytest.mark.parametrize("content", ["a: [", "a: &x [*x]\nimage: y\n", "\x00", "a: " + "[" * 3000])
def test_a_file_that_cannot_be_read_is_no_pass_and_no_crash(project: Project, content: str) -> None:
    project.write(".gitlab-ci.yml", content)
    document = project.scan("pins")
    problems = named(document, "pins")["problems"]
    assert document["findings"] or problems


def test_an_image_pinned_or_moved_in_the_file_keeps_or_loses_its_finding(project: Project) -> None:
    project.write(".gitlab-ci.yml", "image: python:3.12\n")
    (first,) = project.scan("pins")["findings"]
    project.write(".gitlab-ci.yml", "# moved\n\n\nimage: python:3.12\n")
    (second,) = project.scan("pins")["findings"]
    assert (first["fingerprint"], first["line"]) == (second["fingerprint"], second["line"] - 3)
    project.write(".gitlab-ci.yml", f"image: python:3.12{DIGEST}\n")
    assert project.scan("pins")["findings"] == []
