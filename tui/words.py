"""How numbers and verdicts are put into words on a screen. Pure functions; nothing here draws."""

from __future__ import annotations

from appliance.views import Interval, Tier, VerdictWord

ORDER = (
    VerdictWord.PASS,
    VerdictWord.REVIEW,
    VerdictWord.FAIL,
    VerdictWord.INCONCLUSIVE,
    VerdictWord.VOID,
)

MEANING = {
    VerdictWord.PASS: "No exposure found, and this audit would have seen what the policy asks for.",
    VerdictWord.REVIEW: "A test fired. A person has to look before this model is used further.",
    VerdictWord.FAIL: "Patients of this cohort were used to train this model, beyond the policy's limit.",
    VerdictWord.INCONCLUSIVE: "This audit cannot tell. It is not a PASS and cannot become one.",
    VerdictWord.VOID: "A control failed: nothing may be concluded from this run.",
}

STYLE = {
    VerdictWord.PASS: "$pass",
    VerdictWord.REVIEW: "$review",
    VerdictWord.FAIL: "$fail",
    VerdictWord.INCONCLUSIVE: "$inconclusive",
    VerdictWord.VOID: "$void",
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

ROLE = {
    "member": "members",
    "fitting": "fitting controls",
    "calibration": "calibration controls",
    "target": "targets",
    "bank": "anchor bank",
    "post_release": "post-release",
}


def percent(share: float) -> str:
    """A share as percent, as many digits as it deserves: 0.456 → "46 %", 0.004 → "0.4 %"."""
    value = share * 100
    return f"{value:.1f} %" if 0 < value < 9.95 or 99.05 < value < 100 else f"{value:.0f} %"


def percent_interval(interval: Interval) -> str:
    """ "95 % CI 31–61 %"."""
    low, high = percent(interval.low).removesuffix(" %"), percent(interval.high)
    return f"{interval.level * 100:.0f} % CI {low}–{high}"


def p_value(p: float) -> str:
    """ "p = .012" or "p < .001"."""
    if p < 0.0005:
        return "p < .001"
    text = f"{p:.3f}".removeprefix("0")
    return f"p = {text}"


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


def duration(seconds: float) -> str:
    """ "9 s", "2 min 05 s", "3 h 07 min"."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def day(utc: str) -> str:
    """The date of an ISO time, "" when there is none."""
    return utc[:10]


def moment(utc: str) -> str:
    """Date and minute of an ISO time in UTC."""
    return utc[:16].replace("T", " ")
