"""What people read of an evidence pack: pages, text, tables and the auditor's first sheet."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256

from appliance.evidence.verify import verifier_source
from appliance.pack.facts import Members, PackFacts
from appliance.pack.pages import pdf
from appliance.pack.pages.data import data_page
from appliance.pack.pages.method import method_page
from appliance.pack.pages.page import verdict_page
from appliance.pack.pages.readme import readme
from appliance.pack.pages.results import results_page
from appliance.pack.pages.shell import PageFacts
from appliance.pack.pages.tables import csv_tables, figures
from appliance.pack.pages.text import verdict_text


def members(facts: PackFacts, _: Members) -> Members:
    """The pages of an edition, the verdict in lines and as PDF, tables and figures, README and verifier."""
    view, said = facts.view, page_facts(facts)
    verdict = verdict_page(view, said)
    made = {
        "README.txt": readme(view, facts.log.key_words, whole=said.whole).encode(),
        "method.html": method_page(view, said).encode(),
        "verdict.html": verdict.encode(),
        "verdict.txt": verdict_text(view, whole=said.whole).encode(),
        "verify_evidence.py": verifier_source(),
    }
    paper = _paper(verdict)
    if paper is not None:
        made["verdict.pdf"] = paper
    if said.whole:
        made |= csv_tables(view) | figures(view)
        made["results.html"] = results_page(view, said).encode()
        made["data.html"] = data_page(view, said).encode()
    return made


@lru_cache(maxsize=8)
def _paper(page: str) -> bytes | None:
    """The PDF of a page; the same page is asked for again when a pack is built again."""
    return pdf.rendered(page)


def page_facts(facts: PackFacts) -> PageFacts:
    """What the pages say beyond the audit itself."""
    model = facts.given.model
    return PageFacts(
        site=facts.given.site,
        vendor=str(model.get("vendor", "")),
        released=str(model.get("released", "")),
        closed_utc=facts.closed_utc,
        entry=facts.closing.index,
        key_words=facts.log.key_words,
        state_words=facts.log.state_words(facts.size),
        verifier_digest=sha256(verifier_source()).hexdigest(),
        edition=facts.edition,
        model=model,
        data=facts.given.data,
        run=facts.given.run,
        policy_text=facts.given.policy_text,
    )
