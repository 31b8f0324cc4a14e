"""The one table from scores, tiers and controls to words: every page, screen and export uses it."""

from __future__ import annotations

from audit_core.alike import not_stated, proviso
from audit_core.results import (
    AuditResult,
    ControlName,
    Design,
    Exposure,
    Interval,
    OperatingPoint,
    References,
    Tier,
    VerdictWord,
)

MEANING = {
    VerdictWord.PASS: "No exposure found, and this audit would have seen what the policy asks for.",
    VerdictWord.REVIEW: "A test fired. A person has to look before this model is used further.",
    VerdictWord.FAIL: "Patients of this cohort were used to train this model, beyond the policy's limit.",
    VerdictWord.INCONCLUSIVE: "This audit cannot tell. It is not a PASS and cannot become one.",
    VerdictWord.VOID: "A control failed: nothing may be concluded from this run.",
}

GLYPH = {
    VerdictWord.PASS: "✓",
    VerdictWord.REVIEW: "!",
    VerdictWord.FAIL: "✕",
    VerdictWord.INCONCLUSIVE: "?",
    VerdictWord.VOID: "∅",
}

TIER_PROVES = {
    Tier.E0: "no test fired",
    Tier.E1: "a test fired; a difference between the patient groups is not excluded as its cause",
    Tier.E2: "a test fired and held among look-alike patients; role can partly be told from the data alone",
    Tier.E3: "documented random split; the data alone do not give the role away",
    Tier.E4: "the split was drawn and committed to the log before the data left",
}

TIER_LEAVES_OPEN = {
    Tier.E0: "that nobody was used: exposure smaller than the detectable effect stays unseen.",
    Tier.E1: "training use. Scanner, year or template may differ between the groups.",
    Tier.E2: "training use beyond doubt: a remaining difference between the groups is possible.",
    Tier.E3: "how the data reached the vendor, nor that a report can be read back word for word.",
    Tier.E4: "that a report can be read back word for word, nor each flagged patient on its own.",
}

DESIGN = {
    Design.COMMITTED: "roles drawn by coin and committed to the log before the data left",
    Design.RANDOM: "roles drawn at random, documented",
    Design.CONVENIENCE: "roles as they happened to be at hand",
}

REFERENCES = {
    References.L1: "named by the vendor under contract",
    References.L2: "public data the model is known to be trained on",
    References.L3: "pairs this hospital handed over or fine-tuned on",
    References.L4: "none; a throw-away trained copy shows what would be seen",
    References.L5: "none at all",
}

ROLE = {
    "member": "known training patients",
    "fitting": "fitting controls",
    "calibration": "calibration controls",
    "target": "patients in question",
    "bank": "anchor bank",
    "post_release": "patients seen after the model's release",
}

CONTROL_ASKS = {
    ControlName.IDENTITY: "Is this the registered model, cohort and code?",
    ControlName.UNSCORED: "Could nearly every pair be scored, in every role alike?",
    ControlName.LABEL_PERMUTATION: "With roles shuffled, does the finding go away?",
    ControlName.CONTROL_AGAINST_CONTROL: "Do controls that play target stay clean?",
    ControlName.POSITIVE: "Are known training patients found?",
    ControlName.BLIND_MEMBERS: "Can members be told from controls without the model?",
    ControlName.BLIND_TARGETS: "Can targets be told from controls without the model?",
    ControlName.CONDITIONAL: "Does the finding hold among look-alike patients?",
    ControlName.REFERENCE_MODEL: "Does this model know more than its base?",
    ControlName.POST_RELEASE: "Do patients seen after release stay clean?",
    ControlName.SHUFFLED: "How much hangs on the pair of image and report?",
}

NOT_LEGAL_ADVICE = "This document supports, and does not certify, compliance. It is not legal advice."
COMPARE_WORDS = "The ten words name the key that signed this. Compare them with the ones the site gave you."


def percent(share: float) -> str:
    """A share as per cent, with the digits it deserves: 0.456 → "46 %", 0.004 → "0.4 %", 0.05 → "5 %"."""
    value = round(share * 100, 6)
    fine = value != round(value) and (0 < value < 9.95 or 99.05 < value < 100)
    return f"{value:.1f} %" if fine else f"{value:.0f} %"


def percent_interval(interval: Interval) -> str:
    """ "95 % CI 31–61 %"."""
    low, high = percent(interval.low).removesuffix(" %"), percent(interval.high)
    return f"{interval.level * 100:.0f} % CI {low}–{high}"


def p_value(p: float) -> str:
    """ "p = .012" or "p < .001"."""
    if p < 0.0005:
        return "p < .001"
    return "p = " + (f"{p:.3f}".removeprefix("0") if p < 0.9995 else "1")


def area(value: float | None, interval: Interval | None) -> str:
    """An AUROC with its interval, or why there is none."""
    if value is None:
        return "not measured"
    if interval is None:
        return f"{value:.2f}"
    return f"{value:.2f} ({interval.level * 100:.0f} % CI {interval.low:.2f}–{interval.high:.2f})"


def patients(number: int) -> str:
    """ "1 patient", "7 patients"."""
    return f"{number:,} patient" + ("" if number == 1 else "s")


def operating_point(point: OperatingPoint) -> str:
    """Share of known training patients found at a false-positive rate, or the controls missing to say it."""
    at = f"{percent(point.alpha)} false alarms"
    if point.tpr is None:
        return f"at {at}: not resolvable, {point.missing_controls:,} more controls needed"
    note = "" if point.label == "headline" else f" ({point.label}: few controls)"
    return f"{percent(point.tpr)} at {at}{note}"


def exposure(result: AuditResult, word: VerdictWord) -> str:
    """The headline: k of N patients, or why there is none to rely on.

    Without an interval: flags share their controls and a cut that the data chose, so a binomial one would be
    no interval of the exposed share, for which it would be taken; that has its bound and its estimate.
    """
    found = result.exposure
    if found is None:
        return "Not judged: the audit stopped before it could count patients"
    count = f"{found.flagged:,} of {patients(found.patients)}"
    if word is VerdictWord.VOID:
        return f"No result. The void run flagged {count}"
    return f"{count} flagged as exposed"


def share_bounds(result: AuditResult, word: VerdictWord) -> str:
    """What is known about the exposed share beyond the patients flagged, and what flagging one would need."""
    found = result.exposure
    if found is None or word is VerdictWord.VOID:
        return ""
    said = f"at least {percent(found.prevalence_lower)} of the patients are exposed (95 % lower bound)"
    if not_stated(found):
        said = f"the share of exposed patients is not stated: {not_stated(found)}"
    elif found.prevalence_lower <= 0:
        said = "no lower bound above 0 % for the share of exposed patients"
    if found.prevalence_estimate is not None and found.prevalence_ci is not None:
        said += f"; estimate {percent(found.prevalence_estimate)}, {percent_interval(found.prevalence_ci)}"
    if found.missing_controls:
        said += f"; {found.missing_controls:,} further controls needed to flag a single patient alone"
    return said


def expected_false(found: Exposure) -> str:
    """What q bounds: the expected share of false ones over audits, not in the list at hand."""
    at_most = percent(found.q)
    return f"over many audits, at most {at_most} of such a list are expected to be false{proviso(found)}"


def least_share(found: Exposure) -> str:
    """The bound of the exposed share on a line of its own, or why none is stated."""
    if not_stated(found):
        return f"Exposed share: not stated: {not_stated(found)}"
    return f"Exposed share is at least {percent(found.prevalence_lower)} (95 % bound)"


def does_not_prove(tier: Tier) -> str:
    """What this audit leaves open, as a sentence."""
    return f"It does not prove {TIER_LEAVES_OPEN[tier]}"


def beside(result: AuditResult, word: VerdictWord) -> tuple[tuple[str, str], ...]:
    """(name, sentence) of the numbers that no verdict follows from; a void run has none."""
    if word is VerdictWord.VOID:
        return ()
    found = [(bound.name, bound.sentence) for bound in result.epsilon]
    if result.dataset_inference is not None:
        found.insert(0, ("dataset inference", result.dataset_inference.sentence))
    return tuple(found)
