"""Pipeline files that are YAML, but wrong: every complaint has a line, a value and a remedy."""

from __future__ import annotations

from collections.abc import Callable, Mapping

A = "  a: {run: x, outputs: [out/a]}\n"


def stages(text: str) -> str:
    return f"version: 1\nname: x\nstages:\n{text}"


def top(text: str) -> str:
    return stages(A) + text


def stage(text: str) -> str:
    return stages(f"  a: {{run: x, {text}}}\n")


DOCUMENTS = {
    # the top
    "no version": "name: x\nstages:\n" + A,
    "a version as text": 'version: "1"\nname: x\nstages:\n' + A,
    "a later version": "version: 2\nname: x\nstages:\n" + A,
    "true as a version": "version: true\nname: x\nstages:\n" + A,
    "a fraction as a version": "version: 1.0\nname: x\nstages:\n" + A,
    "no name": "version: 1\nstages:\n" + A,
    "a name with a slash": "version: 1\nname: ../x\nstages:\n" + A,
    "a number as a name": "version: 1\nname: 7\nstages:\n" + A,
    "no stages": "version: 1\nname: x\n",
    "null stages": "version: 1\nname: x\nstages:\n",
    "empty stages": "version: 1\nname: x\nstages: {}\n",
    "a list of stages": "version: 1\nname: x\nstages: [a]\n",
    "an unknown key": top("gate: []\n"),
    "a key in capitals": top("Gates: []\n"),
    "an absolute root": top("root: /etc\n"),
    "a root in a home": top("root: ~/x\n"),
    "a root that is missing": top("root: nowhere\n"),
    "a root that is a file": top("root: p.yaml\n"),
    "ignore as a text": top("ignore: build\n"),
    # names of stages
    "a stage in capitals": stages("  Train: {run: x}\n"),
    "a stage with an underscore": stages("  train_it: {run: x}\n"),
    "a stage with a leading digit": stages("  1st: {run: x}\n"),
    "a stage of 64 characters": stages(f"  {'a' * 64}: {{run: x}}\n"),
    "a stage with a path": stages("  ../../etc/passwd: {run: x}\n"),
    "a stage without a name": stages('  "": {run: x}\n'),
    "a stage called by a command": stages('  "$(touch x)": {run: x}\n'),
    # what a stage is
    "a stage that is null": stages("  a:\n"),
    "a stage that is a text": stages("  a: python train.py\n"),
    "a stage that is a list": stages("  a: [x]\n"),
    "neither run nor uses": stages("  a: {inputs: [b]}\n"),
    "both run and uses": stages("  a: {run: x, uses: lint}\n"),
    "an unknown recipe": stages("  a: {uses: pytests}\n"),
    "a number as a recipe": stages("  a: {uses: 3}\n"),
    "a list as a recipe": stages("  a: {uses: [lint]}\n"),
    "null as a recipe": stages("  a: {uses: null}\n"),
    "an empty command": stages("  a: {run: '  '}\n"),
    "a command as a list": stages("  a: {run: [python, x.py]}\n"),
    "a command that is null": stages("  a: {run: null}\n"),
    "a command of 200,000 bytes": stages(f"  a: {{run: {'x' * 200_000}}}\n"),
    "an unknown key of a stage": stages("  a: {run: x, timout: 3}\n"),
    "an option of another recipe": stages("  a: {uses: lint, args: [-x]}\n"),
    "outputs of a recipe": stages("  a: {uses: lint, outputs: [b]}\n"),
    "validation without data": stages("  a: {uses: validate-data}\n"),
    "validation of unknown data": stages("  a: {uses: validate-data, data: chrn}\n")
    + "data: {churn: {path: d, schema: s}}\n",
    "validation without a schema": stages("  a: {uses: validate-data, data: d}\n") + "data: {d: {path: d}}\n",
    # values of a stage
    "inputs as a text": stage("inputs: src"),
    "inputs as a mapping": stage("inputs: {a: src}"),
    "a number as an input": stage("inputs: [3]"),
    "outputs as a text": stage("outputs: build"),
    "a role that is no name": stage("outputs: {a b: build}"),
    "a null output": stage("outputs: [null]"),
    "a timeout of nothing": stage("timeout: 0"),
    "a negative timeout": stage("timeout: -5"),
    "a timeout without a unit": stage("timeout: '90'"),
    "a timeout in weeks": stage("timeout: 2w"),
    "a timeout of a thousand years": stage("timeout: 400000d"),
    "a timeout that overflows": stage(f"timeout: {'9' * 400}d"),
    "true as a timeout": stage("timeout: true"),
    "eleven retries": stage("retries: 11"),
    "negative retries": stage("retries: -1"),
    "true as retries": stage("retries: true"),
    "half a retry": stage("retries: 0.5"),
    "cache as a text": stage("cache: 'false'"),
    "cache as a number": stage("cache: 0"),
    "a variable with a dash": stage("variables: {a-b: c}"),
    "a variable with an equals sign": stage('variables: {"a=b": c}'),
    "true as a variable": stage("variables: {A: true}"),
    "a fraction as a variable": stage("variables: {A: 0.10}"),
    "variables as a list": stage("variables: [A=b]"),
    "an unknown secret": stage("secrets: [TOKEN]"),
    "a secret as a mapping": stage("secrets: {TOKEN: abc}"),
    "a secret that is a variable too": stage("secrets: [T], variables: {T: a}") + "secrets: {T: {}}\n",
    "a Python version as a number": stage("environment: {python: 3.12}"),
    "a Python version that is none": stage("environment: {python: latest}"),
    "a Python version with a path": stage("environment: {python: /usr/bin/python3}"),
    "an image with a blank": stage("environment: {image: 'a b'}"),
    "an unknown key of the environment": stage("environment: {pyton: '3.12'}"),
    "a lock file that is missing": stage("environment: {requirements: req.lock}"),
    "a lock file outside": stage("environment: {requirements: ../req.lock}"),
    "an environment as a text": stage("environment: python3"),
    "an unknown accelerator": stage("accelerator: {tpu: {}}"),
    "no GPUs": stage("accelerator: {cuda: {gpus: 0}}"),
    "a million GPUs": stage("accelerator: {cuda: {gpus: 1000000}}"),
    "a description as a list": stage("description: [a]"),
    # paths
    "an absolute input": stage("inputs: [/etc/passwd]"),
    "an absolute output": stage("outputs: [/tmp/x]"),
    "an input above the root": stage("inputs: [../x]"),
    "an output above the root": stage("outputs: [a/../../x]"),
    "an input in a home": stage("inputs: [~/x]"),
    "the root as an input": stage("inputs: [.]"),
    "the root as an output": stage("outputs: [.]"),
    "a path with a dot": stage("inputs: [./src]"),
    "a path with two slashes": stage("inputs: [a//b]"),
    "a path with a slash at its end": stage("inputs: [src/]"),
    "an empty path": stage("inputs: ['']"),
    "an input of Git's": stage("inputs: [.git/config]"),
    "an output of Git's": stage("outputs: [.git/hooks/pre-commit]"),
    "an output of Penstock's": stage("outputs: [.penstock/state.sqlite]"),
    "an output in a nested repository": stage("outputs: [a/.git/hooks]"),
    "an output pattern": stage("outputs: ['build/*']"),
    "stars within a name": stage("inputs: ['src/**.py']"),
    "a pattern of 40 names": stage(f"inputs: ['{'*/' * 40}x']"),
    "a path of 5,000 bytes": stage(f"inputs: [{'a/' * 2500}b]"),
    "a name of 256 bytes": stage(f"inputs: [{'a' * 256}]"),
    "a name of 200 wide characters": stage(f"inputs: [{'ü' * 200}]"),
    # the graph
    "two producers": stages("  a: {run: x, outputs: [o]}\n  b: {run: x, outputs: [o]}\n"),
    "an output given twice": stages("  a: {run: x, outputs: [o, o]}\n"),
    "an output given twice with roles": stages("  a: {run: x, outputs: {m: o, n: o}}\n"),
    "an output in another one": stages("  a: {run: x, outputs: [o]}\n  b: {run: x, outputs: [o/p/q]}\n"),
    "an output around another one": stages("  a: {run: x, outputs: [o/p]}\n  b: {run: x, outputs: [o]}\n"),
    "an output in its own": stages("  a: {run: x, outputs: [o, o/p]}\n"),
    "a stage that reads its output": stage("inputs: [o], outputs: [o]"),
    "a stage that reads below its output": stage("inputs: [o/p], outputs: [o]"),
    "a stage that reads around its output": stage("inputs: [o], outputs: [o/p]"),
    "a stage whose pattern selects its output": stage("inputs: ['o/*'], outputs: [o/p]"),
    "a cycle of two": stages(
        "  a: {run: x, inputs: [b], outputs: [a]}\n  b: {run: x, inputs: [a], outputs: [b]}\n"
    ),
    "a cycle of three behind a stage": stages(
        "  z: {run: x, outputs: [z]}\n  a: {run: x, inputs: [z, c], outputs: [a]}\n  b: {run: x, inputs: [a], outputs: [b]}\n  c: {run: x, inputs: [b], outputs: [c]}\n  d: {run: x, inputs: [c]}\n"
    ),
    "a cycle of 1,200": stages(
        "".join(f"  s{n}: {{run: x, inputs: [o{(n + 1) % 1200}], outputs: [o{n}]}}\n" for n in range(1200))
    ),
    "a pattern within an output": stages("  a: {run: x, outputs: [o]}\n  b: {run: x, inputs: ['o/*.csv']}\n"),
    "too many patterns": stages(
        "  a: {run: x, outputs: ["
        + ",".join(f"o{n}" for n in range(5000))
        + "]}\n  b: {run: x, inputs: ["
        + ",".join(f"'**/x{n}'" for n in range(5000))
        + "]}\n"
    ),
    "slow patterns": stages(
        "  a: {run: x, outputs: ["
        + ",".join(f"{'a/' * 30}{n}" for n in range(1000))
        + "]}\n  b: {run: x, inputs: ["
        + ",".join(f"'{'**/a/' * 15}x{n}'" for n in range(300))
        + "]}\n"
    ),
    "an output over the pipeline file": stage("outputs: [p.yaml]"),
    "an output over the parameter file": stage("outputs: [params]") + "params: params/p.yaml\n",
    "an output over a lock file": stage("outputs: [l.lock], environment: {requirements: l.lock}"),
    "an output over a secret": stage("outputs: [keys]") + "secrets: {T: {file: keys/t}}\n",
    # parameters
    "a missing parameter file": top("params: params.yml\n"),
    "an absolute parameter file": top("params: /etc/passwd\n"),
    "a list of parameters": top("params: [a]\n"),
    "a number as parameters": top("params: 3\n"),
    "a parameter with a dot": top("params: {a.b: 1}\n"),
    "a parameter without a name": top("params: {'': 1}\n"),
    "an unknown parameter": stage("params: [trian]") + "params: {train: {n: 1}}\n",
    "an unknown parameter in a section": stage("params: [train.m]") + "params: {train: {n: 1}}\n",
    "a parameter below a value": stage("params: [train.n.x]") + "params: {train: {n: 1}}\n",
    "an empty parameter": stage("params: ['']") + "params: {train: 1}\n",
    "parameters where there are none": stage("params: [train]"),
    "the parameter file as an input": stage("params: [a], inputs: [params.yaml]") + "params: {a: 1}\n",
    "the parameter file as an output": stage("params: [a], outputs: [params.yaml]") + "params: {a: 1}\n",
    # data, secrets
    "data without a path": top("data: {d: {schema: s}}\n"),
    "data as a text": top("data: {d: data.csv}\n"),
    "data outside": top("data: {d: {path: ../d.csv}}\n"),
    "a data set with a blank in its name": top("data: {'a b': {path: d}}\n"),
    "a secret in the file itself": top("secrets: {T: hunter2}\n"),
    "a secret with two sources": top("secrets: {T: {env: A, file: b}}\n"),
    "a secret with an unknown source": top("secrets: {T: {vault: a}}\n"),
    "a secret with a wrong name": top("secrets: {'a b': {}}\n"),
    # gates
    "a gate as a text": top("gates: [schema]\n"),
    "gates as a mapping": top("gates: {gate: schema}\n"),
    "an unknown gate": top("gates: [{gate: treshold}]\n"),
    "a gate without a kind": top("gates: [{metric: auc}]\n"),
    "a threshold without a metric": top("gates: [{gate: threshold, min: 1}]\n"),
    "a threshold without a bound": top("gates: [{gate: threshold, metric: auc}]\n"),
    "a threshold with swapped bounds": top("gates: [{gate: threshold, metric: auc, min: 1, max: 0}]\n"),
    "a bound as a text": top("gates: [{gate: threshold, metric: auc, min: '0.8'}]\n"),
    "true as a bound": top("gates: [{gate: threshold, metric: auc, min: true}]\n"),
    "a gate that is required by a text": top(
        "gates: [{gate: threshold, metric: auc, min: 1, required: 'false'}]\n"
    ),
    "a threshold with an unknown key": top("gates: [{gate: threshold, metric: auc, minimum: 1}]\n"),
    "a threshold without metrics": top("gates: [{gate: threshold, metric: auc, min: 1}]\n"),
    "a threshold on unknown metrics": top(
        "gates: [{gate: threshold, metric: auc, min: 1, metrics: out/b}]\n"
    ),
    "a threshold with two candidates": stages("  a: {run: x, outputs: [a/metrics.json, b/metrics.json]}\n")
    + "gates: [{gate: threshold, metric: auc, min: 1}]\n",
    "a schema gate on unknown data": top("gates: [{gate: schema, data: d}]\n"),
    "a schema gate without a validation": top(
        "data: {d: {path: d, schema: s}}\ngates: [{gate: schema, data: d}]\n"
    ),
    "two gates of one name": stages("  a: {run: x, outputs: [metrics.json]}\n")
    + "gates:\n- {gate: threshold, metric: m, min: 1}\n- {gate: threshold, metric: m, max: 1}\n",
    "an unknown policy": top("policy: {on_inconclusive: ignore}\n"),
    "a policy as a text": top("policy: warn\n"),
    # publish, profiles
    "publish as true": top("publish: true\n"),
    "publish as zero": top("publish: 0\n"),
    "an unknown publication": top("publish: {archiv: {}}\n"),
    "an archive of nothing": top("publish: {archive: {}}\n"),
    "an archive of unknown outputs": top("publish: {archive: {contents: [out/b]}}\n"),
    "an image of no model": top("publish: {image: {repository: r.example.com/ml/a}}\n"),
    "an image without a repository": top("publish: {image: {}}\n"),
    "a repository in capitals": top("publish: {artifact: {repository: R.example.com/ML/A}}\n"),
    "a repository without a host": top("publish: {artifact: {repository: model}}\n"),
    "a tag with a space": top("publish: {artifact: {repository: r.example.com/a, tags: [v 1]}}\n"),
    "a password that is no secret": top(
        "publish: {artifact: {repository: r.example.com/a, password: PASS}}\n"
    ),
    "a key that is no secret": top("publish: {evidence: {key: SIGNING_KEY}}\n"),
    "an alias that MLflow keeps": top("publish: {mlflow: {model: a, alias: latest}}\n"),
    "an alias like a version": top("publish: {mlflow: {model: a, alias: v3}}\n"),
    "a model with a path": top("publish: {mlflow: {model: ../a}}\n"),
    "a password in an address": top("publish: {mlflow: {model: a, tracking_uri: 'http://u:p@host'}}\n"),
    "DVC outputs that are none": top("publish: {dvc: {outputs: [nothing]}}\n"),
    "DVC outputs that cannot be told": top("publish: {dvc: {}}\n"),
    "an archive outside": top("publish: {archive: {path: ../dist, contents: [out/a]}}\n"),
    "an archive in an output": top("publish: {archive: {path: out/a/dist, contents: [out/a]}}\n"),
    "an archive around an output": top("publish: {archive: {path: out, contents: [out/a]}}\n"),
    "an archive in an input": stage("inputs: [src], outputs: [o]")
    + "publish: {archive: {path: src, contents: [o]}}\n",
    "an archive that a pattern selects": stage("inputs: ['d*'], outputs: [o]")
    + "publish: {archive: {contents: [o]}}\n",
    "an archive over the pipeline file": top("publish: {archive: {path: p.yaml, contents: [out/a]}}\n"),
    "a profile as a text": top("profiles: {p: fast}\n"),
    "an unknown key of a profile": top("profiles: {p: {name: y}}\n"),
    "a profile of an unknown stage": top("profiles: {p: {stages: {b: {timeout: 5m}}}}\n"),
    "a profile with a wrong timeout": top("profiles: {p: {stages: {a: {timeout: soon}}}}\n"),
    "a profile with a wrong path": top("profiles: {p: {stages: {a: {inputs: [..]}}}}\n"),
    "a profile that changes a recipe": top("profiles: {p: {stages: {a: {uses: lint}}}}\n"),
    "a profile with a wrong gate": top("profiles: {p: {gates: [{gate: x}]}}\n"),
    "a profile with a parameter file": top("profiles: {p: {params: p.yaml}}\n"),
    "everything wrong": "version: 3\nnme: x\nstages:\n" + "".join(f"  S{n}: {{rn: x}}\n" for n in range(30)),
}


def test_every_wrong_pipeline_is_refused_with_its_line(
    assert_refused: Callable[[Mapping[str, bytes], str], None],
) -> None:
    assert_refused({title: text.encode() for title, text in DOCUMENTS.items()}, "pipelines.txt")


def test_the_corpora_are_as_large_as_promised() -> None:
    assert len(DOCUMENTS) >= 150
