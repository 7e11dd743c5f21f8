"""What scans found, in the report: the page, the summary, the files for GitHub and GitLab."""

from __future__ import annotations

import json

import report_samples as samples
from gate_samples import security, security_finding
from penstock.report import attached, keep, scans
from penstock.report.html import page

SCAN = "build/penstock/scan.security.json"


def documents(**others: object) -> dict[str, bytes]:
    finding = security_finding("secrets", "critical", path="conf/<b>.env", message="a token of GitHub | x")
    accepted = {"reason": "of the test system", "expires": "2027-01-01"}
    found = security(finding, security_finding("code", "low", accepted=accepted))
    found["checks"][1]["problems"] = ["17 of 17 packages could not be audited"]
    return {
        SCAN: json.dumps(found).encode(),
        **{name: json.dumps(each).encode() for name, each in others.items()},
    }


def test_the_page_shows_what_is_open_what_is_accepted_and_what_was_not_whole() -> None:
    text = page.render(samples.passed(), documents()).decode()
    assert 'id="security-1"' in text
    assert "conf/&lt;b&gt;.env:3" in text
    assert "of the test system" in text
    assert "vulnerabilities: 17 of 17 packages could not be audited" in text


def test_the_summary_names_what_is_open() -> None:
    summary = keep.files(samples.passed(), documents=documents())["summary.md"].decode()
    assert "### Security" in summary
    assert "`conf/<b>.env:3`" in summary
    assert "`a token of GitHub ¦ x`" in summary
    assert "17 of 17 packages" in summary


def test_files_for_ci_systems_have_fixed_names_and_hold_what_all_stages_found() -> None:
    made = documents(
        **{
            "build/penstock/a.sarif": {"version": "2.1.0", "runs": [1]},
            "build/penstock/b.sarif": {"version": "2.1.0", "runs": [2]},
            "build/penstock/a.gl-code-quality-report.json": [1],
            "build/penstock/b.gl-code-quality-report.json": [2],
            "build/penstock/a.gl-secret-detection-report.json": {"version": "15.2.0", "vulnerabilities": [1]},
        }
    )
    files = keep.files(samples.passed(), documents=made)
    assert json.loads(files[scans.SARIF]) == {"version": "2.1.0", "runs": [1, 2]}
    assert json.loads(files[scans.CODE_QUALITY]) == [1, 2]
    assert json.loads(files[scans.SECRETS])["vulnerabilities"] == [1]


def test_no_such_file_is_written_of_a_run_without_scans() -> None:
    assert not {scans.SARIF, scans.CODE_QUALITY, scans.SECRETS} & set(keep.files(samples.passed()))


def test_what_cannot_be_read_is_left_out_and_the_page_shows_the_rest() -> None:
    made = {**documents(), "build/penstock/a.sarif": b"{", "build/penstock/b.sarif": b"[]"}
    assert scans.SARIF not in scans.files(made)
    assert b"security-1" in page.render(samples.passed(), made)
    assert f"{attached.FOLDER}/{SCAN}" in keep.files(samples.passed(), documents=made)
