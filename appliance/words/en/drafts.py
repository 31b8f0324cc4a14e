"""The prefilled drafts of an evidence pack. Clauses are cited by number; no sentence suggests a decision."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "draft.kind": "Draft, to be completed",
    "draft.banner": (
        "DRAFT. What is known is filled in from this audit; every decision is left blank, for a person. It "
        "is not legal advice."
    ),
    "draft.footer": "A draft decides nothing and is no answer to anybody until a person has signed it.",
    "draft.known": "What this audit knows",
    "draft.known_caption": "Facts filled in, each with its file in this pack; the files by SHA-256 below",
    "draft.fact": "Fact",
    "draft.value": "As audited",
    "draft.item": "From",
    "draft.open": "Not known from this audit",
    "draft.decide": "To be decided",
    "draft.reasons": "Reasons",
    "draft.by": "Decided by (name and role)",
    "draft.on": "Date and signature",
    "draft.fill": "To be filled in",
    "draft.clauses": "Clauses: {clauses}",
    # what an audit's word means in a draft
    "draft.word.PASS": (
        "PASS: this audit found no exposure of the size it could have seen. It is no finding that nobody was "
        "used, and none about other models, other patients or other ways in which data may have left."
    ),
    "draft.word.REVIEW": (
        "REVIEW: a test fired and a person has to look. The audit neither shows nor excludes that patients "
        "were used."
    ),
    "draft.word.FAIL": (
        "FAIL: the audit exceeded the policy's limit. Its reasons say whether for exposure of patients or "
        "for a vendor's claim."
    ),
    "draft.word.INCONCLUSIVE": (
        "INCONCLUSIVE: this audit cannot tell. Nothing about the absence of a breach follows from it, and it "
        "must not be read as an all-clear."
    ),
    "draft.word.VOID": (
        "VOID: a control failed and nothing may be concluded from this run. Nothing about the absence of a "
        "breach follows from it, and it must not be read as an all-clear."
    ),
    # facts
    "draft.fact.model": "Model",
    "draft.fact.vendor": "Vendor",
    "draft.fact.verdict": "Verdict",
    "draft.fact.exposure": "Exposure",
    "draft.fact.share": "Share",
    "draft.fact.tier": "Evidence tier",
    "draft.fact.proof": "Not proven",
    "draft.fact.reasons": "Reasons",
    "draft.fact.claims": "Claims of the vendor",
    "draft.fact.policy": "Policy",
    "draft.fact.closed": "Audit closed",
    "draft.fact.data": "Data audited",
    "draft.fact.years": "Years of studies",
    "draft.fact.modalities": "Modalities",
    "draft.fact.isolation": "Isolation of the audit",
    "draft.fact.retention": "Log kept",
    "draft.closed_at": "{moment} UTC, log entry {entry}",
    "draft.pairs": "Each pair is an image and its report.",
    "draft.years": "at least {years} years, by the policy in force",
    "draft.sent.nothing": (
        "The audit's own worker ran on site in a closed box: every layer was on, and its probe got nothing "
        "out."
    ),
    "draft.sent.unknown": (
        "Whether the audit's own worker sent anything is not shown: a layer of its box, or the probe of it, "
        "was not on ({layers})."
    ),
    "draft.sent.not_kept": (
        "Whether the audit's own worker sent anything is not shown: nothing was kept of its box."
    ),
    # breach assessment
    "draft.breach_title": "Breach assessment",
    "draft.breach_clauses": "45 CFR 164.402(2), 164.404(b), 164.408; GDPR Art. 33(1), 34",
    "draft.breach_why": (
        "Four factors are weighed where protected health information may have been used or disclosed without "
        "permission. The audit speaks to parts of the first and the third; the rest is for people."
    ),
    "draft.breach.1": "Factor 1: what information, and how likely somebody can be recognised in it",
    "draft.breach.1_open": (
        "Which identifiers were in what the vendor had, and whether a report can be read back word for word. "
        "The audit tests memory of pairs, not the presence of names."
    ),
    "draft.breach.2": "Factor 2: who used it, or to whom it went",
    "draft.breach.2_open": (
        "Who had the weights and the training data, and under which contract or duty. The vendor's name is "
        "all that the audit has."
    ),
    "draft.breach.3": "Factor 3: whether it was in fact acquired or viewed",
    "draft.breach.3_open": (
        "How data reached the vendor. Where a test fired, the model behaves on these patients as on pairs "
        "that it was trained on; that a person viewed them does not follow."
    ),
    "draft.breach.4": "Factor 4: how far the risk has been mitigated",
    "draft.breach.4_open": (
        "Withdrawal of the model, deletion by the vendor, assurances. An audit after such an act can be run "
        "and compared with this one."
    ),
    "draft.breach.5": "Clocks",
    "draft.breach.5_open": (
        "The day of discovery is for a person to fix; it may be earlier than this audit. If it were the "
        "moment in which the audit closed, 72 hours (GDPR Art. 33(1)) would end on {hours} UTC, and 60 days "
        "(45 CFR 164.404(b)) on {days}."
    ),
    "draft.breach.6": "Outcome",
    "draft.breach.6_open": "Whether this is a breach, who is told, and by when.",
    # impact assessment
    "draft.dpia_title": "Insert for a data protection impact assessment",
    "draft.dpia_clauses": "GDPR Art. 35(7)(a) to (d), 36",
    "draft.dpia_why": (
        "An insert about one processing operation: using this model, and auditing it on site for memory of "
        "patients."
    ),
    "draft.dpia.1": "The processing and its purpose (a)",
    "draft.dpia.1_open": "What the model is used for, for whom, on what legal basis, and who is controller.",
    "draft.dpia.2": "Necessity and proportion (b)",
    "draft.dpia.2_open": "Whether the same end could be reached with less data, or with another model.",
    "draft.dpia.3": "Risks to patients (c)",
    "draft.dpia.3_open": (
        "How likely and how severe the harm is. The numbers above say what this audit could see; the "
        "smallest exposure that it would have found stands in results.html."
    ),
    "draft.dpia.4": "Measures (d)",
    "draft.dpia.4_open": (
        "Measures outside the appliance: contract, access to the model, filters on what it says, training of "
        "staff. Those of the appliance are in records/ where they were kept."
    ),
    "draft.dpia.5": "Residual risk",
    "draft.dpia.5_open": "Whether the supervisory authority is consulted, and the advice of the officer.",
    # record of processing
    "draft.ropa_title": "Entry for the record of processing activities",
    "draft.ropa_clauses": "GDPR Art. 30(1)(a) to (g)",
    "draft.ropa_why": "One entry: auditing this model on site for memory of patients.",
    "draft.ropa.1": "Controller, representative, officer (a)",
    "draft.ropa.1_open": "Names and contacts. The site calls itself {site}.",
    "draft.ropa.2": "Purposes (b)",
    "draft.ropa.2_open": (
        "The legal basis. The audit itself serves to find out whether a model was trained on this site's "
        "patients, and to keep evidence of that."
    ),
    "draft.ropa.3": "Categories of persons and of data (c)",
    "draft.ropa.3_open": "Whether other categories are processed beside the audit.",
    "draft.ropa.4": "Recipients and transfers (d), (e)",
    "draft.ropa.4_open": ("Who is given this pack, and whether the vendor transfers data. {sent}"),
    "draft.ropa.5": "Time limits (f)",
    "draft.ropa.5_open": "Time limits of studies, findings and backups.",
    "draft.ropa.6": "Security measures (g)",
    "draft.ropa.6_open": "Measures of the organisation. Those of the appliance are in records/ where kept.",
    # access
    "draft.access_title": "Answer to a request for access",
    "draft.access_clauses": "GDPR Art. 12(3), 15(1); 45 CFR 164.524, 164.528",
    "draft.access_why": (
        "This pack names no patient, so it cannot say whether the person who asks was in the audit. The site "
        "can: in its sealed findings, by a reveal that the log records."
    ),
    "draft.access.1": "The person who asks, and how they proved who they are",
    "draft.access.1_open": "Name, request, date of receipt, proof of identity.",
    "draft.access.2": "Whether this person's pairs were in the audit, and in which role",
    "draft.access.2_open": (
        "To be looked up in the sealed findings. A flag is a statistical finding, no certainty."
    ),
    "draft.access.3": "What is processed, why, for how long, and from where",
    "draft.access.3_open": "Purposes and time limits of treatment records; source of the data.",
    "draft.access.4": "To whom it was disclosed",
    "draft.access.4_open": (
        "Disclosures to the vendor or others, with dates. {sent} That a model was trained on somebody's data "
        "would be a disclosure by another way."
    ),
    "draft.access.5": "The answer",
    "draft.access.5_open": "What is told, what is refused and on which ground.",
    # erasure
    "draft.erasure_title": "Answer to a request for erasure",
    "draft.erasure_clauses": "GDPR Art. 12(3), 17, 19",
    "draft.erasure_why": (
        "Erasing a patient in the appliance destroys the key to that patient's data on this site. It does "
        "not remove the patient from the vendor's model; only the vendor can act on its model."
    ),
    "draft.erasure.1": "The person who asks, and how they proved who they are",
    "draft.erasure.1_open": "Name, request, date of receipt, proof of identity.",
    "draft.erasure.2": "Whether a duty to erase exists",
    "draft.erasure.2_open": "Grounds and exceptions, among them duties to keep treatment records.",
    "draft.erasure.3": "What was erased on this site",
    "draft.erasure.3_open": (
        "Date and log entry of the erasure, its certificate, and until when backups made before can bring "
        "the key back. The log keeps a tombstone without the patient's name."
    ),
    "draft.erasure.4": "What was asked of the vendor",
    "draft.erasure.4_open": (
        "Whether the vendor was told, what it answered, and whether a later audit of the changed model bears "
        "it out."
    ),
    "draft.erasure.5": "The answer",
    "draft.erasure.5_open": "What is told, what is refused and on which ground.",
}
