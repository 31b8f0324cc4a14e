"""Claims on the command line, and in an audit that really runs: what its verdict, report and pack know."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from appliance import cli
from appliance.api import Appliance
from appliance.carried_out import CLAIMS
from appliance.claims import accounting
from appliance.claims.records import Recomputed
from appliance.claims.views import Account
from appliance.errors import NotPermitted, UsageError
from appliance.policy_file import FOLDER
from appliance.runs import launching, queue
from tests.appliance import small_site

SOURCE = "data sheet 2.1, Mrs. Canary [/x]"
MORE = Recomputed((Account("PRV", 3.4, 3.38), Account("RDP", 3.9, None)), "opacus 1.6.0")
DP = ("--kind", "dp", "--epsilon", "3", "--delta", "1e-5", "--unit", "patient", "--source", SOURCE)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A site with a tiny model that commands open without asking, and accountants that answer at once."""
    monkeypatch.setattr(accounting, "recomputed", lambda budget: MORE)
    root = small_site.build(tmp_path)
    (tmp_path / "secret").write_text(small_site.PASSPHRASE)
    (tmp_path / "secret").chmod(0o600)
    monkeypatch.setenv("GRADAUDIT_WORKSPACE", str(root))
    monkeypatch.setenv("GRADAUDIT_PASSPHRASE_FILE", str(tmp_path / "secret"))
    return root


def run(*arguments: str) -> Result:
    """One command in this process."""
    return CliRunner().invoke(cli.app, ["claim", *arguments])


def printed(*arguments: str) -> dict[str, object]:
    """What a command that must succeed prints as JSON."""
    done = run(*arguments, "--json")
    assert done.exit_code == 0, done.output + repr(done.exception)
    return dict(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.usefixtures("root")
def test_a_claim_by_commands() -> None:
    """Add, list, show, recompute, withdraw: as a reader and as a program sees it."""
    row = printed("add", "tiny", *DP)["row"]
    claim_id = row["claim_id"]  # type: ignore[index]
    assert row["standing"] == "questioned" and row["model"] == "tiny"  # type: ignore[index]
    shown = run("show", claim_id)
    for said in ("epsilon 3, delta 1e-05", "unit patient", "epsilon up to 3.400", "Canary (/x)"):
        assert said in shown.stdout
    assert "no proof that it holds" in shown.stderr
    assert claim_id in run("ls").stdout and claim_id in run("ls", "tiny").stdout
    assert printed("recompute", claim_id)["accounted_by"] == "opacus 1.6.0"
    assert printed("withdraw", claim_id, "--reason", "the vendor corrected it")["reason"]
    assert run("ls").stdout == "" and "1 withdrawn" in run("ls").stderr
    assert printed("ls", "--all")["in_force"] is False


@pytest.mark.usefixtures("root")
@pytest.mark.parametrize(
    "wrong",
    [
        ("tiny", "--kind", "clean", "--source", SOURCE),
        ("tiny", "--kind", "not-trained", "--source", " "),
        ("nobody", "--kind", "not-trained", "--source", SOURCE),
        ("tiny", "--kind", "dp", "--source", SOURCE),
        ("tiny", *DP, "--neighbours", "sideways"),
        ("tiny", *DP, "--steps", "-4"),
    ],
)
def test_what_means_nothing_is_refused(wrong: tuple[str, ...]) -> None:
    """A kind, model, number or word that there is not: an error that says which are, and no claim."""
    done = run("add", *wrong)
    assert isinstance(done.exception, UsageError) and done.exception.hint
    assert run("ls", "--all").stdout == ""


@pytest.mark.usefixtures("root")
def test_an_epsilon_alone_is_no_claim() -> None:
    """Without a δ an ε says nothing: the command line says so."""
    assert run("add", "tiny", "--kind", "dp", "--source", SOURCE, "--epsilon", "3").exit_code == 2


def test_an_auditor_reads_claims(root: Path) -> None:
    """Reading is for auditors too, recording is not."""
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        site.add_user("eve", "auditor", "four other random words")
    with Appliance.unlock(root, "four other random words", "eve") as site:
        assert site.claims() == ()
        with pytest.raises(NotPermitted):
            site.withdraw_claim("C-00000000", "they do not like it")


def test_an_audit_knows_the_claims_of_its_day(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real audit: the claim is in job, result, report and pack; one that was withdrawn is in none."""
    monkeypatch.setattr(launching, "start", lambda *_: None)
    text = (FOLDER / "default.toml").read_text()
    for key, value in {"bootstrap": 100, "simulations": 50, "permutations": 5}.items():
        line = next(one for one in text.splitlines() if one.startswith(f"{key} = "))
        text = text.replace(line, f"{key} = {value}")
    policy = tmp_path / "quick.toml"
    policy.write_text(text.replace('name = "default"', 'name = "quick"'))
    claim_id = str(printed("add", "tiny", *DP)["row"]["claim_id"])  # type: ignore[index]
    gone = str(printed("add", "tiny", *DP)["row"]["claim_id"])  # type: ignore[index]
    printed("withdraw", gone, "--reason", "the vendor corrected it")
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        run_id = site.queue_audit("tiny", "spring", str(policy)).run_id
        job = queue.job(site._workspace.catalogue, run_id)
        assert job is not None and job.asked[CLAIMS] == [claim_id]
        site.cancel_run(run_id)
        view = site.run_audit("tiny", "spring", str(policy), lambda _: None)
        assert [check.claim for check in view.result.claims] == [claim_id]
        assert view.result.claims[0].accounted == 3.4
        audit_id = view.row.audit_id
        assert site.claim(claim_id).audits[0].decided and not site.claim(gone).audits[0].decided
        pack = site.export_pack(audit_id, tmp_path / "pack.zip")
        assert site.verify_pack(pack).intact
    with zipfile.ZipFile(pack) as archive:
        whole = {name: archive.read(name) for name in archive.namelist()}
    assert claim_id in json.dumps(json.loads(whole["results.json"]))
    assert claim_id.encode() in whole["verdict.txt"] and claim_id.encode() in whole["verdict.html"]
    assert all(gone.encode() not in content for content in whole.values())
