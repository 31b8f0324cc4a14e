"""What an evidence pack says inside the forms of standards: bill of materials and assessment results."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    # bill of materials
    "bom.verdict": "The audit {audit} of this model under the policy {policy} ended in {verdict}.",
    "bom.requirement": (
        "The model keeps the limits that the site's policy sets for the exposure of its patients, and the "
        "vendor's claims hold."
    ),
    "bom.summary": (
        "What one audit of the site found, set against what the vendor claims. It supports, and does not "
        "certify, compliance; it is not legal advice."
    ),
    "bom.evidence.results": "The numbers, controls and verdict of the audit: {member}, SHA-256 {digest}.",
    "bom.evidence.entry": (
        "Entry {entry} of the site's log closed the audit and committed to its results. The pack proves that "
        "it is in the log: log/proofs.json, log/checkpoint."
    ),
    "bom.metric.flagged": "patients flagged as exposed",
    "bom.metric.auroc": "AUROC of the detector that decides, known training patients against controls",
    "bom.base": "The model before it was fine-tuned, as registered at the site.",
    "bom.adapter": "Weights put on the model when it runs; audited with it.",
    "bom.effect.contradicts": "This audit contradicts the claim. {why}",
    "bom.effect.questions": "This audit questions the claim. {why}",
    "bom.effect.supports": "This audit supports the claim as far as it could see. {why}",
    "bom.effect.silent": "This audit says nothing of the claim. {why}",
    # assessment results
    "oscal.title": "What the evidence pack of audit {audit} supports, clause by clause",
    "oscal.remarks": (
        "Clauses are cited by number. States are what the items of this pack support, at most: they support, "
        "and do not certify, compliance, and are not legal advice."
    ),
    "oscal.plan": "The policy that the audit ran under: what is measured, and which limits decide.",
    "oscal.plan.withheld": (
        "The policy that the audit ran under. This pack withholds it; the log names its digest."
    ),
    "oscal.item": "A member of the evidence pack.",
    "oscal.observation": "The member {member} was made when the audit closed. SHA-256 {digest}.",
    "oscal.result": "Audit {audit} of the model {model} ended in {verdict}.",
    "oscal.finding.none": "Nothing in the pack bears on it.",
    "oscal.tool": "Measured the model, judged by the policy and made the pack.",
    "oscal.component": "The audited model, by the digest over all its files: {digest}.",
}
