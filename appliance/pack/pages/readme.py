"""The first file an auditor opens."""

from __future__ import annotations

from typing import Final

from appliance.pack.pages import pdf
from appliance.pack.pages.wording import does_not_prove
from appliance.views import AuditView
from appliance.words.table import tell

_WIDTH: Final = 32
_FULL: Final = "full"  # no other edition has it
_VENDOR: Final = "vendor"
_MEMBERS: Final = (
    ("verdict.html, verdict.txt", tell("pack.about.verdict"), _FULL),
    ("verdict.html, verdict.txt", tell("pack.about.verdict_vendor"), _VENDOR),
    ("verdict.pdf", tell("pack.about.pdf"), "pdf"),
    ("results.html", tell("pack.about.results"), _FULL),
    ("method.html", tell("pack.about.method"), ""),
    ("data.html", tell("pack.about.data"), _FULL),
    ("crosswalk.html, crosswalk.json", tell("pack.about.crosswalk"), ""),
    ("crosswalk.oscal.json", tell("pack.about.oscal"), ""),
    ("drafts/", tell("pack.about.drafts"), _FULL),
    ("results/*.csv", tell("pack.about.tables"), _FULL),
    ("figures/*.svg", tell("pack.about.figures"), _FULL),
    ("results.json", tell("pack.about.results_json"), _FULL),
    ("results.disclosed.json", tell("pack.about.results_disclosed"), _VENDOR),
    ("policy.toml", tell("pack.about.policy"), _FULL),
    ("model.json", tell("pack.about.model_json"), ""),
    ("data.json", tell("pack.about.data_json"), _FULL),
    ("records.json", tell("pack.about.records_json"), _FULL),
    ("records/", tell("pack.about.records"), _FULL),
    ("disclosure.json", tell("pack.about.disclosure"), ""),
    ("model.cdx.json", tell("pack.about.cdx"), ""),
    ("run.intoto.json", tell("pack.about.intoto"), ""),
    ("manifest.json, manifest.note", tell("pack.about.manifest"), ""),
    ("log/entries.jsonl", tell("pack.about.entries"), ""),
    ("log/audit-events.fhir.json", tell("pack.about.fhir"), ""),
    ("log/proofs.json", tell("pack.about.proofs"), ""),
    ("log/opening, log/checkpoint", tell("pack.about.checkpoints"), ""),
    ("log/verifier-key", tell("pack.about.key"), ""),
    ("log/cosigned.json", tell("pack.about.cosigned"), ""),
    ("verify_evidence.py", tell("pack.about.verifier"), ""),
)
"""Name or names, what it is, and what it takes: an edition, a PDF, or nothing."""


def readme(view: AuditView, key_words: str, *, whole: bool = True) -> str:
    """README.txt of a pack.

    Args:
        whole: whether this is the full edition.
    """
    why = pdf.absent()
    taken = {_FULL: whole, _VENDOR: not whole, "pdf": not why, "": True}
    listed = [f"    {name:{_WIDTH}}{about}" for name, about, takes in _MEMBERS if taken[takes]]
    return tell(
        "pack.readme",
        words=key_words,
        start=tell("pack.start" if whole else "pack.start_vendor"),
        members="\n".join(listed),
        pdf=tell("pack.no_pdf", why=why) if why else "",
        open=does_not_prove(view.result.tier),
    )
