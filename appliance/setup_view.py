"""What a first run has settled so far, for the front ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEPS: Final = ("recovery", "intake", "models", "policy")
"""Steps of a first run once the workspace is there, in their order."""


@dataclass(frozen=True, slots=True)
class SetupView:
    """Settings of a site.

    Attributes:
        step: of `STEPS`, where a first run goes on; empty when it has ended or was none.
        inbox: folder where files arrive; empty for none.
        ae_title: as whom this site receives images; empty for nobody.
        policy: under which audits run unless somebody chooses another; empty for none.
    """

    step: str = ""
    inbox: str = ""
    ae_title: str = ""
    policy: str = ""


POLICIES: Final = {
    "default": "What a hospital starts from: no exposed patient is tolerated, and PASS needs an audit that "
    "would have seen one in four.",
    "gdpr": "As default, and no audit runs unless the model is boxed in by every layer, and findings open "
    "with two together; for accountability under the GDPR (Art. 5(2), 24, 32).",
    "hipaa": "As default, and no audit runs unless the model is boxed in by every layer; for evaluations "
    "under HIPAA (45 CFR 164.308(a)(8)).",
    "research": "For a study (GDPR Art. 89): every layer as in gdpr, one flagged patient of five may be "
    "flagged falsely, and no model falls due by itself.",
    "demo": "For the shipped demonstration alone: it is content with few patients, and every page says so.",
}
"""What each shipped policy means, in the order in which they are offered."""
