"""What an audit could not do is printed wherever its verdict is."""

from __future__ import annotations

import json
from dataclasses import replace

from appliance import codec
from appliance.pack.pages.method import method_page
from appliance.pack.pages.page import PageFacts, verdict_page
from appliance.pack.pages.text import verdict_text
from audit_core.results import AuditResult, Limit
from tests.appliance.evidence_case import view

LIMITS = (
    Limit("PASS is out of reach.", "Nobody named members.", "Run it with `--spike-in`."),
    Limit("<b>No base.</b>\x1b[31m", "", "Ask for the weights."),
)
FACTS = PageFacts("St. Example", "", "", "2026-11-20T14:02:31Z", 3, "ten words", "0" * 64)
HEADING = "What this audit could not do"


def test_text_and_page_print_every_limit_and_nothing_foreign() -> None:
    """What, why and remedy in both; markup and escape sequences of a worker's words are inert."""
    limited = replace(view(), result=replace(view().result, limits=LIMITS))
    text, page, sheet = verdict_text(limited), method_page(limited, FACTS), verdict_page(limited, FACTS)
    for words in ("PASS is out of reach.", "Nobody named members.", "Run it with `--spike-in`.", HEADING):
        assert words in text and words in page
    assert "\x1b" not in text + page + sheet and "<b>No base" not in page + sheet
    assert HEADING in sheet and "PASS is out of reach." in sheet
    assert "why: \n" not in text


def test_without_limits_nothing_is_said() -> None:
    """An audit that could do everything has no such section."""
    assert HEADING not in verdict_text(view()) and HEADING not in verdict_page(view(), FACTS)


def test_limits_come_back_from_the_catalogue_and_older_results_have_none() -> None:
    """Stored and read again they are the same; a result stored before there were any still opens."""
    result = replace(view().result, limits=LIMITS)
    stored = codec.dump(result)
    assert codec.load(AuditResult, stored).limits == LIMITS
    document = json.loads(stored)
    del document["limits"]
    assert codec.load(AuditResult, json.dumps(document)).limits == ()
