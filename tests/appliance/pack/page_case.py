"""Pages read as a strict parser reads them, and the longest audit that a sheet has to hold."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import html5lib

from appliance.pack.pages.shell import PageFacts
from appliance.views import AuditView, VerdictWord
from audit_core.claims import ClaimCheck, ClaimFinding, ClaimKind
from audit_core.results import (
    ControlStatus,
    DetectableEffect,
    Histogram,
    Interval,
    Limit,
    ReliabilityBin,
    Tier,
    Verdict,
)
from tests.appliance import evidence_case

WORDS = "lanig gutob dukah boziz dodum nonuj kibil sunag sigud zogit"
LONG = (
    "A sentence of the engine that says in many words what was seen in this audit, and what it hangs on. " * 6
)
HTML = "{http://www.w3.org/1999/xhtml}"


def parsed(page: bytes | str) -> Any:
    """The page as a tree; a page that the HTML standard calls wrong is an error."""
    text = page.decode() if isinstance(page, bytes) else page
    return html5lib.HTMLParser(strict=True).parse(text)


def all_of(tree: Any, *names: str) -> list[Any]:
    """Elements of these names, in the page's order."""
    return [
        node for node in tree.iter() if isinstance(node.tag, str) and node.tag.rpartition("}")[2] in names
    ]


def said(page: bytes | str) -> str:
    """What a reader reads, drawings and styles left out, in single spaces."""
    text = page.decode() if isinstance(page, bytes) else page
    text = re.sub(r"<(style|svg)\b.*?</\1>", " ", text, flags=re.DOTALL)
    found = re.sub(r"<[^>]+>", " ", text.partition("<body")[2])
    for entity, sign in (("&lt;", "<"), ("&gt;", ">"), ("&#x27;", "'"), ("&quot;", '"'), ("&amp;", "&")):
        found = found.replace(entity, sign)
    return " ".join(found.split())


def facts(name: str = "St. Example", edition: str = "full") -> PageFacts:
    """What pages say beyond an audit."""
    moment = "2026-11-22T00:51:00.000Z"
    return PageFacts(
        name, name, "2026-01-01", moment, 1_234_567, WORDS, "0" * 64, WORDS, edition, {"version": 12}
    )


def calibrated(view: AuditView) -> AuditView:
    """The audit with leak probabilities that were checked."""
    bins = (ReliabilityBin(0.1, 2, 20, Interval(0.01, 0.3)), ReliabilityBin(0.9, 17, 20, Interval(0.6, 0.97)))
    return replace(view, result=replace(view.result, reliability=bins))


def longest(word: VerdictWord) -> AuditView:
    """An audit that has much to say: long names, eight reasons, claims, limits, failed controls."""
    view = evidence_case.view(word, "a-very-long-name-of-a-model/" * 6)
    claims = tuple(
        ClaimCheck(
            f"C-00000000000{number}", kind, LONG, 1.5, 1e-6, 2.5, "PRV, opacus 1.6.0", 3.2, 1.5, 0.95,
            "patients", ClaimFinding.QUESTIONED, LONG,
        )
        for number, kind in enumerate([*ClaimKind, *ClaimKind])
    )  # fmt: skip
    found = view.result.exposure
    assert found is not None
    roles = ("target", "calibration", "fitting", "member", "post_release")
    result = replace(
        view.result,
        tier=Tier.E2,
        claims=claims,
        limits=(Limit(LONG, LONG, LONG),) * 9,
        detectable=DetectableEffect(0.5, "members", LONG),
        controls=tuple(replace(one, status=ControlStatus.FAILED) for one in view.result.controls),
        exposure=replace(found, missing_controls=1999, targets_alike=ControlStatus.FAILED),
        histogram=Histogram((-1.0, 0.0, 1.0, 2.0), dict.fromkeys(roles, (3, 2, 9)), 1.25),
    )
    return replace(
        view,
        result=result,
        verdict=Verdict(word, 3, (LONG,) * 8),
        row=replace(view.row, policy="policy-" * 20),
        sample_note=f"DEMO. {LONG}",
        policy_version="9" * 60,
    )
