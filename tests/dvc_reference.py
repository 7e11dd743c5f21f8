"""Run by a Python that has DVC: what DVC itself makes of the repositories below a directory, as JSON."""

import json
import logging
import os
import sys
from importlib import import_module


def _of(directory: str) -> dict[str, object]:
    parameters = import_module("dvc.dependency").ParamsDependency
    os.chdir(directory)
    with import_module("dvc.repo").Repo(directory) as repo:
        found = {}
        for stage in repo.index.stages:
            if not hasattr(stage, "name") or stage.name is None:
                continue
            params = {}
            for dep in stage.deps:
                if isinstance(dep, parameters):
                    params[repo.fs.relpath(dep.fs_path, directory)] = sorted(dep.params)
            found[stage.name] = {
                "cmd": stage.cmd if isinstance(stage.cmd, list) else [stage.cmd],
                "wdir": os.path.relpath(stage.wdir, directory),
                "deps": sorted(
                    {
                        os.path.relpath(dep.fs_path, directory)
                        for dep in stage.deps
                        if not isinstance(dep, parameters)
                    }
                ),
                "params": params,
                "outs": sorted(os.path.relpath(out.fs_path, directory) for out in stage.outs),
                "persist": sorted(
                    os.path.relpath(out.fs_path, directory) for out in stage.outs if out.persist
                ),
                "always": bool(stage.always_changed or stage.is_callback),
                "frozen": bool(stage.frozen),
            }
        repo.check_graph(stages=set(repo.index.stages))
        return {"stages": found}


def main() -> None:
    logging.disable(logging.CRITICAL)
    for directory in json.load(sys.stdin):
        try:
            answer = _of(directory)
        except Exception as error:  # noqa: BLE001 - whatever DVC says is what is compared
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")


if __name__ == "__main__":
    main()
