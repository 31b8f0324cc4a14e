"""Vendor claims, and how they stand against what was measured."""

from __future__ import annotations

MESSAGES: dict[str, str | tuple[str, str]] = {
    "claim.says.private": "differentially private: ε = {epsilon} at δ = {delta}, per {unit}",
    # recomputing
    "claim.missing": "The claim does not state {what}: it cannot be recomputed.",
    "claim.stopped": "The accountants could not finish: {why}.",
    "claim.not_yet": "Not recomputed yet: `gradaudit claim recompute {claim}`.",
    "claim.accountant": (
        "From the vendor's own parameters the accountant {accountant} ({by}) gives ε up to {upper}, the "
        "claim says {epsilon}."
    ),
    "claim.no_finite": (
        "From the vendor's own parameters ({by}) no finite ε holds at a δ of 0: Gaussian noise gives none. "
        "The claim says {epsilon}."
    ),
    # what one audit does to a claim
    "claim.audit.no_answer": "It ended in {verdict}, which says nothing of any claim.",
    "claim.audit.not_told": "What it would have ended in without any claim cannot be told any more.",
    "claim.audit.identity": (
        "An audit shows whether a model has seen a patient's pair, not whether names had been removed from "
        "it: it neither supports nor contradicts that."
    ),
    "claim.audit.clean": (
        "No sign of training on these patients, by an audit that would have seen {share} of them or more in "
        "80 % of simulated audits; of fewer it says nothing."
    ),
    # in a report
    "text.claims": "What the vendor claimed, against this audit:",
    "claims.name": "{claim}, {kind}",
    "claims.source": "Source: {source}.",
    "claims.epsilon": "ε = {epsilon} at δ = {delta}.",
    "claims.recomputed": "Recomputed from the vendor's own parameters ({accountant}): ε up to {upper}.",
    "claims.not_recomputed": "No accountant gives an ε from the vendor's own parameters.",
    "claims.by_verdict": (
        "The verdict answers it: FAIL contradicts it, a REVIEW on account of exposure questions it, and PASS "
        "supports it as far as this audit could see."
    ),
    # how a claim stands
    "claim.by_audit": "Audit {audit}: {why}",
    "claim.silent": "No audit of this model says anything about it.",
    "claim.no_audit": "No audit of this model has finished.",
    # what the claim needs
    "claim.note.not_trained": (
        "An audit looks for this site's patients alone. A FAIL contradicts the claim, a REVIEW questions it, "
        "and a PASS supports it as far as that audit could see."
    ),
    "claim.note.de_identified": (
        "That a model remembers a pair does not show that names were left in it. A name or a number that it "
        "gives back would: look at a finding's remembered words, or plant canaries that carry an identity."
    ),
    "claim.note.private": (
        "Recomputing checks the vendor's arithmetic, not that training was done so. Only an audit of drawn "
        "coins can contradict an ε; one that stays below it is no proof that it holds."
    ),
    "claim.note.neighbours": (
        "The vendor does not say whether ε compares training sets of which one has a unit more, or one unit "
        "in another's place: the reading that favours the claim is taken."
    ),
    "claim.note.level": "A claim that is true is contradicted by chance in at most 5 % of audits.",
    "claim.note.version": "It speaks of {model} alone: a later version needs a claim of its own.",
    "claim.note.later": "It speaks of {model} and of every later version.",
    # what needs a person
    "claim.need.contradicted": "{model}: a vendor's claim is contradicted: `gradaudit claim show {claim}`",
    "claim.need.accountant": (
        "{model}: a vendor's ε is not borne out by its own parameters: `gradaudit claim show {claim}`"
    ),
}
