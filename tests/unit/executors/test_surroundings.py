from __future__ import annotations

from pathlib import Path

import pytest

from penstock.executors.surroundings import certificates, surroundings


def made(**more: object) -> dict[str, str]:
    given: dict[str, object] = {
        "bin_dirs": (Path("/env/bin"),),
        "home": "/h",
        "temporary": "/t",
        "variables": {},
        "secrets": {},
    }
    return surroundings(**{**given, **more})  # type: ignore[arg-type]


def test_nothing_of_the_callers_environment_is_passed_on_but_how_the_network_is_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in (
        "AWS_SECRET_ACCESS_KEY",
        "PYTHONPATH",
        "LD_PRELOAD",
        "CUDA_VISIBLE_DEVICES",
        "PENSTOCK_HOME",
    ):
        monkeypatch.setenv(name, "1")
    for name in ("SSL_CERT_DIR", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "localhost")
    assert made() == {
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "localhost",
        "TZ": "UTC",
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SOURCE_DATE_EPOCH": "315532800",
        "PATH": "/env/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": "/h",
        "TMPDIR": "/t",
    }


def test_a_stage_with_an_accelerator_is_told_which_device_is_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    assert made(devices=True)["CUDA_VISIBLE_DEVICES"] == "3"
    assert "CUDA_VISIBLE_DEVICES" not in made()


def test_secrets_win_over_variables_and_these_over_what_is_fixed() -> None:
    variables = made(variables={"TZ": "CET", "A": "variable"}, secrets={"A": "secret"})
    assert (variables["TZ"], variables["A"]) == ("CET", "secret")


def test_certificates_that_are_named_must_be_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    monkeypatch.setenv("CURL_CA_BUNDLE", str(tmp_path / "missing.pem"))
    monkeypatch.setenv("SSL_CERT_DIR", "relative")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    assert certificates() == [str(tmp_path / "ca.pem")]
