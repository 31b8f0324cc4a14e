"""What the screens say of single findings; nothing here names a patient."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "findings.sort.score": "highest score first",
    "findings.sort.p-value": "smallest p-value first",
    "findings.sort.probability": "highest leak probability first",
    "findings.sort.pseudonym": "by pseudonym",
    "findings.sort.audit": "in the audit's order",
    "findings.prior.0.001": "1 in 1,000 used",
    "findings.prior.0.01": "1 in 100 used",
    "findings.prior.0.1": "1 in 10 used",
    "findings.prior.mixture": "estimated from the audit",
    "findings.prior.as published": "as published, uncorrected",
    "findings.if.0.001": "if 1 in 1,000 such patients had been used beforehand",
    "findings.if.0.01": "if 1 in 100 such patients had been used beforehand",
    "findings.if.0.1": "if 1 in 10 such patients had been used beforehand",
    "findings.if.mixture": "with the share of used patients estimated from this audit",
    "findings.if.as published": "as the method's authors compute it, without a check of its own",
    "findings.no_probability": (
        "no leak probability: one is stated only where known members were found and the groups are alike"
    ),
    "findings.role.member": "member",
    "findings.role.fitting": "fitting control",
    "findings.role.calibration": "control",
    "findings.role.target": "target",
    "findings.role.bank": "anchor",
    "findings.role.post_release": "post-release",
    "findings.role.canary": "canary",
    "findings.listed": ("{number} finding", "{number} findings"),
    "findings.closed": "The findings are closed: press enter to open them",
    "findings.opening": "opening the findings: what they say is compared with what was merged …",
    "findings.checking": "reading all rows once, after a merge: {done} of {total} findings ({share})",
    "findings.nothing_like": "No finding is like that: press f to filter otherwise",
    "findings.none": "This audit sealed no finding.",
    "findings.no_audit": "No audit has finished yet: press r to run one",
    "findings.not_judged": "not judged: another pair of this patient is, or it has no score",
    "findings.enter": "enter shows every score; no name, image or text without a reveal",
    "findings.hidden": "Name, image and text are hidden. v reveals them: it asks for a reason and is logged.",
    "findings.revealed": "Revealed and logged. Hidden by h, on leaving, or after a minute without a key.",
    "findings.hidden_again": "hidden again",
    "findings.nobody": "nobody: a planted canary",
    "findings.gone": "The workspace holds no image or text of this finding any more.",
    "findings.layers": "Of all known members of this audit: what a single pair does to a layer is not kept.",
    "findings.flagged": "flagged: named as exposed; a share of those who are named is not",
    "findings.not_flagged": "not flagged: that does not show that it was not used",
    # exposure over the versions of a model
    "series.title": "Exposure over the versions of this model",
    "series.apart": "{name}, {day}: not on the chart, {why}",
    "series.limit": "the policy tolerates {share} exposed patients",
    "series.no_limit": "no limit: these audits ran under different policies, or under one that is not kept",
    "series.calibration": "Calibration: are the leak probabilities right?",
    "series.no_calibration": (
        "None: leak probabilities are not stated in this audit, or an earlier version ran it."
    ),
    "findings.p": "{p}: so rare is such a score among controls",
}
