"""Serving images by a Dagger engine: of the same parts, put together by the same program, tried in it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

import anyio
import dagger
from dagger import dag

from penstock import digest
from penstock.executors import isolate, serving
from penstock.executors.carried import ASSEMBLE
from penstock.executors.container import ENVIRONMENT, RUNTIME_IMAGE
from penstock.executors.dagger_engine import DaggerExecutor
from penstock.executors.dagger_images import asking
from penstock.executors.dagger_tree import LIBRARY
from penstock.executors.serving import (
    ABOUT,
    EXAMPLE,
    MODEL,
    PYTHON,
    REPOSITORY,
    REQUIREMENTS,
    USER,
    Description,
)
from penstock.executors.surroundings import SYSTEM_PATH

_REQUEST = "/penstock/request.json"
_BASE = "/penstock/base.tar"
_PREPARED = "/penstock/prepared"
_MADE = "/penstock/made"


async def read_package(package: dagger.Directory) -> dict[str, str]:
    """The texts of a package that `serving.described` takes.

    Raises:
        ExecutorError: They cannot be read.
    """
    with asking("no package of a model"):
        return {name: await package.file(name).contents() for name in (ABOUT, EXAMPLE, REQUIREMENTS)}


async def build_and_test(
    executor: DaggerExecutor, description: Description, package: dagger.Directory
) -> tuple[dagger.File, dict[str, Any]]:
    """Build an image of a package, start it without a network, and ask it about the example rows.

    Args:
        executor: Knows the engine, and the project where packages may lie.
        description: The image that is wanted.
        package: What `programs.package_model` made.

    Returns:
        An archive that `docker load` takes and that is an OCI layout, and facts: as `serving_docker.Built`.

    Raises:
        RefusedError: The server does not start, or does not say what was judged.
        PipelineError: The requirements do not determine what is installed.
        ExecutorError: The image cannot be built.
    """
    archive, facts = await build(executor, description, package)
    return archive, {**facts, "smoke": await smoke_test(description, archive)}


async def build(
    executor: DaggerExecutor, description: Description, package: dagger.Directory
) -> tuple[dagger.File, dict[str, Any]]:
    """As `build_and_test`, and nothing is tried."""
    reference = await executor.images.reference(description.base)
    prepared = await _layers(executor, description, reference)
    base_digest = reference.partition("@")[2] or reference
    with asking("the image cannot be put together"):
        path = await dag.container().from_(reference).env_variable("PATH") or SYSTEM_PATH
        finish = {
            "prepared": _PREPARED,
            "package": MODEL,
            "at": MODEL,
            "config": description.config(base_digest, path),
            "epoch": description.epoch,
            "repository": REPOSITORY,
            "target": f"{_MADE}/image.tar",
            "facts": f"{_MADE}/facts.json",
        }
        container = (
            (await _assembling(executor))
            .with_mounted_directory(_PREPARED, prepared)
            .with_mounted_directory(MODEL, package)
            .with_exec(["mkdir", _MADE])
        )
        made = _done(executor, container, "finish", finish).directory(_MADE)
        facts = json.loads(await made.file("facts.json").contents())
    return made.file("image.tar"), {**facts, "base": {"name": description.base, "digest": base_digest}}


async def _layers(executor: DaggerExecutor, description: Description, reference: str) -> dagger.Directory:
    """The layers that models with the same environment share; the engine keeps them."""
    equipped = await executor.images.equipped(description.base, description.environment)
    uncompressed = dagger.ImageLayerCompression.Uncompressed
    base = dag.container().from_(reference).as_tarball(forced_compression=uncompressed)
    container = (
        (await _assembling(executor))
        .with_mounted_file(_BASE, base)
        .with_mounted_directory(ENVIRONMENT, equipped.directory(ENVIRONMENT))
    )
    prepare = {
        "base": _BASE,
        "environment": ENVIRONMENT,
        "at": ENVIRONMENT,
        "epoch": description.epoch,
        "prepared": _PREPARED,
    }
    return _done(executor, container, "prepare", prepare).directory(_PREPARED)


async def _assembling(executor: DaggerExecutor) -> dagger.Container:
    library = await executor.library(ASSEMBLE)
    return dag.container().from_(RUNTIME_IMAGE).with_mounted_directory(LIBRARY, library)


def _done(
    executor: DaggerExecutor, container: dagger.Container, action: str, request: Mapping[str, Any]
) -> dagger.Container:
    asked = container.with_mounted_file(_REQUEST, executor.courier.file(digest.canonical_json(request)))
    return asked.with_exec(["python3", "-I", "-S", LIBRARY, action, _REQUEST])


async def smoke_test(description: Description, archive: dagger.File) -> dict[str, Any]:
    """Start an image, cut off from the network, and ask it about the example rows; no cache answers.

    Returns:
        `ready_s` (until the server answered), `rows`, `uid`, `writable`, `network` (`none`, or why it was not
        cut off), `read_only`.

    Raises:
        RefusedError: It does not start, or does not say what was judged.
        ExecutorError: The engine cannot start it.
    """
    uid, gid = map(int, USER.split(":"))
    spec = {
        "server": description.command,
        "client": description.smoke_command(),
        "directory": MODEL,
        "uid": uid,
        "gid": gid,
    }
    text = await anyio.Path(isolate.__file__).read_text(encoding="utf-8")
    with asking("the image cannot be tried"):
        said = await (
            dag.container()
            .import_(archive)
            .with_user("0:0")
            .with_env_variable("PENSTOCK_TRY", uuid.uuid4().hex)
            .with_exec([PYTHON, "-I", "-S", "-c", text, json.dumps(spec)], insecure_root_capabilities=True)
            .stdout()
        )
    tried = json.loads(said)
    if tried["ended"] is not None:
        raise serving.ended(tried["log"], tried["ended"], description.port)
    if "problem" in tried:
        raise serving.failed(f"the server could not be asked: {tried['problem']}")
    facts = serving.judge(tried["found"], description.example)
    return {**facts, "network": tried["network"], "read_only": tried["read_only"]}


def service(description: Description, archive: dagger.File) -> dagger.Service:
    """The server of an image, for `dagger call serve up`."""
    image = dag.container().import_(archive).with_exposed_port(description.port)
    return image.as_service(use_entrypoint=True)
