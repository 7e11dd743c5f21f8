"""Secrets: a stage has them, and nobody else."""

from __future__ import annotations

import base64

import pytest

from conformance.conftest import Bench, pipeline, stage, states
from penstock.errors import UsageError
from penstock.report import document

VALUE = "hunter2-swordfish-\u00fc"


def with_token(run: str, **more: object) -> str:
    return pipeline({"s": {"run": run, "secrets": ["TOKEN"], **more}}, secrets={"TOKEN": {}})


def test_a_secret_arrives_and_is_masked_in_the_log_in_all_its_forms(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE}
    encoded = base64.b64encode(VALUE.encode()).decode()
    report = isolated.run(
        with_token(
            f'test "$(printf %s "$TOKEN" | wc -c | tr -d " ")" = {len(VALUE.encode())};'
            f' test "$TOKEN" = "hunter2-"swordfish-ü; echo "a $TOKEN b"; echo {encoded};'
            ' printf %s "$TOKEN" | head -c 9; sleep 0.3; printf %s "$TOKEN" | tail -c +10'
        )
    )
    assert states(report) == {"s": "ran"}
    log = stage(report, "s").attempts[-1].log
    assert log == "a *** b\n***\n***"
    assert isolated.observer.output["s"] == log


def test_no_report_holds_a_secret(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE}
    isolated.write({"in": "x"})
    report = isolated.run(with_token('echo "$TOKEN"; echo "$TOKEN" > "$TOKEN"; exit 3', inputs=["in"]))
    assert states(report) == {"s": "failed"}
    text = document.encode(report).decode()
    assert VALUE not in text
    assert "swordfish" not in text


def test_a_problem_masks_a_secret(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE}
    report = isolated.run(with_token('echo > "$TOKEN"', outputs=["out"]))
    assert stage(report, "s").attempts[-1].problem == (
        "declared output 'out' was not written\n  it wrote ***"
    )


@pytest.mark.parametrize(
    "command",
    [
        'echo "x $TOKEN" > out',
        'mkdir out; echo "$TOKEN" > out/a',
        'mkdir out; echo > "out/$TOKEN"',
        'mkdir out; ln -s "$TOKEN" out/l',
        f"printf %s {base64.b64encode(VALUE.encode()).decode()} > out",
    ],
)
def test_an_output_that_holds_a_secret_is_refused(isolated: Bench, command: str) -> None:
    isolated.environ = {"TOKEN": VALUE}
    report = isolated.run(with_token(command, outputs=["out"]))
    assert states(report) == {"s": "failed"}
    problem = stage(report, "s").attempts[-1].problem or ""
    assert "holds the value of secret 'TOKEN', so it was not kept" in problem
    assert VALUE not in problem
    assert isolated.read("out") is None


def test_a_secret_that_is_not_given_is_named(isolated: Bench) -> None:
    with pytest.raises(UsageError, match=r"pipeline\.yaml:1: stage 's': secret 'TOKEN': the variable TOKEN"):
        isolated.run(with_token("true"))


def test_only_stages_that_declare_a_secret_have_it(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE, "OTHER": "something-else"}
    report = isolated.run(
        pipeline(
            {
                "has": {"run": 'test -n "$TOKEN"; echo "${OTHER-none}"', "secrets": ["TOKEN"]},
                "not": {"run": 'echo "${TOKEN-none} ${OTHER-none}"'},
            },
            secrets={"TOKEN": {}, "OTHER": {}},
        )
    )
    assert stage(report, "has").attempts[-1].log == "none\n"
    assert stage(report, "not").attempts[-1].log == "none none\n"


def test_another_value_of_a_secret_runs_nothing_again(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE}
    text = with_token("date +%s.%N > out", outputs=["out"])
    assert states(isolated.run(text)) == {"s": "ran"}
    made = isolated.read("out")
    isolated.environ = {"TOKEN": "another-value-of-it"}
    assert states(isolated.run()) == {"s": "cached"}
    assert isolated.read("out") == made


def test_a_new_value_is_the_one_that_arrives(isolated: Bench) -> None:
    isolated.environ = {"TOKEN": VALUE}
    text = with_token('printf %s "$TOKEN" | wc -c | tr -d " " > out', outputs=["out"], cache=False)
    isolated.run(text)
    assert isolated.read("out") == f"{len(VALUE.encode())}\n".encode()
    isolated.environ = {"TOKEN": "shorter-one"}
    isolated.run()
    assert isolated.read("out") == b"11\n"


@pytest.mark.parametrize(
    "value", ["two\nlines of it", 'it\'s "$HOME" `id` \\n %41', " spaces around ", "-" * 4000]
)
def test_a_secret_of_any_characters_arrives(isolated: Bench, value: str) -> None:
    isolated.environ = {"TOKEN": value}
    total = sum(value.encode())
    summed = 'n=0; for b in $(printf %s "$TOKEN" | od -An -v -tu1); do n=$((n + b)); done; echo $n > out'
    report = isolated.run(with_token(summed, outputs=["out"]))
    assert states(report) == {"s": "ran"}
    assert isolated.read("out") == f"{total}\n".encode()
