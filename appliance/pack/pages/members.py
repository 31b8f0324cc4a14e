"""What people read of an evidence pack: pages, text and the auditor's first sheet."""

from __future__ import annotations

from hashlib import sha256

from appliance.evidence.verify import verifier_source
from appliance.pack.facts import Members, PackFacts
from appliance.pack.pages.page import PageFacts, verdict_page
from appliance.pack.pages.readme import readme
from appliance.pack.pages.text import verdict_text


def members(facts: PackFacts, _: Members) -> Members:
    """Verdict page, verdict in lines, README and the verifier."""
    return {
        "README.txt": readme(facts.log.key_words).encode(),
        "verdict.html": verdict_page(facts.view, _page_facts(facts)).encode(),
        "verdict.txt": verdict_text(facts.view).encode(),
        "verify_evidence.py": verifier_source(),
    }


def _page_facts(facts: PackFacts) -> PageFacts:
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
    )
