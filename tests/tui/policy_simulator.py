"""Planted policies behind the screens' backend protocol: one that waits, one replaced, shipped ones."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

from appliance import policy_file
from appliance.errors import NotPermitted, PolicyError, UsageError
from appliance.finding_views import Second
from appliance.policies.difference import difference
from appliance.policies.views import (
    ApprovalNeed,
    DeedRow,
    DryRunRow,
    DryRunView,
    Effect,
    KeyRow,
    Outcome,
    PolicyDifference,
    PolicyRow,
    PolicyView,
    State,
    TightenedPolicy,
)
from audit_core.results import VerdictWord

ALONE, TWO = ApprovalNeed(passphrase=False, second=False), ApprovalNeed(passphrase=True, second=True)
SECOND = Second("c.weiss", "words of a second one")
NOW = "2026-11-20T15:00:00+00:00"
SHIPPED = (policy_file.FOLDER / "default.toml").read_text()
STRICTER = (
    SHIPPED.replace('version = "shipped-2"', 'version = "3"')
    .replace("must_detect = 0.25 ", "must_detect = 0.20 ")
    .replace("alpha_review = 0.05 ", "alpha_review = 0.02 ")
    .replace('required = ["seccomp", "landlock"]', 'required = ["seccomp"]')
    .replace("seed = 0", "seed = 7")
)
TEXTS = {
    "default@1": SHIPPED,
    "default@2": SHIPPED.replace('version = "shipped-2"', 'version = "2"').replace("q = 0.10 ", "q = 0.05 "),
    "default@3": STRICTER,
}
KEYS = (
    KeyRow("decision.alpha_fail", "0.001", "level of the rank test for FAIL", ""),
    KeyRow(
        "retention.log_years", "6", "for how many years the log is kept at least",
        "45 CFR 164.316(b)(2)(i): six years",
    ),
    KeyRow(
        "cadence.image-text-to-text", "180", "after how many days a model of the family is audited anew",
        "GDPR Art. 32(1)(d): regularly testing",
    ),
)  # fmt: skip
TRIED = (
    DryRunRow(
        "a-0003", "lumen-vlm", "default@2", "2026-11-20T14:02:31Z", VerdictWord.FAIL,
        VerdictWord.FAIL, Outcome.SAME,
        "Targets score higher than calibration controls: rank test p = 2.0e-07, below 0.001.",
    ),
    DryRunRow(
        "a-0001", "clear-vlm", "default@2", "2026-11-20T14:02:58Z", VerdictWord.PASS,
        VerdictWord.INCONCLUSIVE, Outcome.OTHER,
        "The audit could have seen exposure from a share of 24 % upwards; PASS needs 20 % or less.",
    ),
    DryRunRow(
        "a-0000", "north-vlm", "demo@1", "2026-11-19T09:00:00Z", VerdictWord.REVIEW, None, Outcome.UNKNOWN,
        "only a new run can tell, for the audit computed with what changes: "
        "decision.alpha_review, method.seed",
    ),
    DryRunRow(
        "a-0007", "old-vlm", "demo@1", "2026-10-02T09:00:00Z", VerdictWord.VOID, None, Outcome.REFUSED,
        "it ran without landlock, which the policy requires",
    ),
)  # fmt: skip


def row(reference: str, state: State, origin: str = "site", by: str = "", day: str = "") -> PolicyRow:
    """One version."""
    name, _, version = reference.partition("@")
    since = f"{day}T00:00:00+00:00" if day else ""
    asks = {"quorum": 2, "log_years": 6, "cadence": ("generative 180 days", "contrastive 365 days")}
    return PolicyRow(name, version, reference, state, origin, since, by, since or NOW, "3f9a" * 16, **asks)


def versions() -> dict[str, PolicyRow]:
    """What a site has after two changes."""
    rows = (
        row("default@1", State.REPLACED, "shipped"),
        row("default@2", State.IN_FORCE, by="b.meyer, c.weiss", day="2026-11-02"),
        row("default@3", State.PROPOSED, by="a.operator"),
        row("demo@1", State.IN_FORCE, "shipped"),
        row("gdpr@1", State.IN_FORCE, "shipped"),
        row("hipaa@1", State.IN_FORCE, "shipped"),
    )
    return {one.reference: one for one in rows}


@dataclass
class SimulatedPolicies:
    """The acts around policies; `_enter` is the simulator's."""

    versions_: dict[str, PolicyRow] = field(default_factory=versions)
    need: ApprovalNeed = ALONE
    tried: tuple[DryRunRow, ...] = TRIED
    approved: list[tuple[str, str, str, Second | None]] = field(default_factory=list)
    rejected: list[tuple[str, str]] = field(default_factory=list)

    def _enter(self, call: str) -> None:
        raise NotImplementedError

    def policies(self) -> tuple[str, ...]:
        self._enter("policies")
        return ("default", "demo", "gdpr", "hipaa")

    def policy_versions(self) -> tuple[PolicyRow, ...]:
        self._enter("policy_versions")
        return tuple(self.versions_.values())

    def policy(self, reference: str) -> PolicyView:
        self._enter(f"policy {reference}")
        one = self.versions_[reference]
        deeds = (
            DeedRow("proposed", ("a.operator",), "2026-11-19T16:40:00+00:00", "", "as the board asked"),
            DeedRow("approved", ("b.meyer", "c.weiss"), "2026-11-20T08:12:00+00:00", one.from_utc, ""),
        )
        told = deeds[: 2 if one.from_utc else 1] if one.origin == "site" else ()
        return PolicyView(one, TEXTS.get(reference, SHIPPED).rstrip("\n"), told, KEYS)

    def diff_policies(self, first: str, second: str = "") -> PolicyDifference:
        self._enter(f"diff_policies {first} {second}")
        if not second and self.versions_[first].state is State.IN_FORCE:
            raise UsageError(
                "nothing else is in force as default", "name two policies, as NAME@VERSION or a file"
            )
        one, other = (first, second) if second else ("default@2", first)
        old, new = (policy_file.parse(TEXTS.get(each, SHIPPED).encode()) for each in (one, other))
        return difference(old, new)

    def dry_run_policy(self, reference: str, since: str = "") -> DryRunView:
        self._enter(f"dry_run_policy {reference}")
        return DryRunView(reference, self.tried)

    def propose_policy(self, file: Path, reason: str = "") -> PolicyRow:
        self._enter(f"propose_policy {file} {reason}")
        if "broken" in file.name:
            raise PolicyError("line 8: the policy has an unknown key decision.alpha_fial",
                              "did you mean decision.alpha_fail?")  # fmt: skip
        return self._now(row("ward@1", State.PROPOSED, by="officer"))

    def tighten_policy(self, base: str, vendor: Path, into: Path | None = None) -> TightenedPolicy:
        self._enter(f"tighten_policy {base} {vendor} {into}")
        if "loose" in vendor.name:
            raise PolicyError(
                f"{vendor}: line 2: decision.q is looser: 0.2, here 0.1", "a vendor only tightens"
            )
        old, new = (policy_file.parse(TEXTS[each].encode()) for each in ("default@3", "default@2"))
        keys = tuple(key for key in difference(old, new).keys if key.effect is Effect.STRICTER)
        return TightenedPolicy(base, f"{base}-tightened", TEXTS["default@3"], "3f9a" * 16, keys)

    def approval_need(self) -> ApprovalNeed:
        self._enter("approval_need")
        return self.need

    def approve_policy(
        self, reference: str, from_day: str = "", passphrase: str = "", second: Second | None = None
    ) -> PolicyRow:
        self._enter("approve_policy")
        if self.need.second and second != SECOND:
            raise NotPermitted("two officers together approve a policy", "Name the second one.")
        self.approved.append((reference, from_day, passphrase, second))
        state = State.APPROVED if from_day else State.IN_FORCE
        since = f"{from_day}T00:00:00+00:00" if from_day else NOW
        return self._now(replace(self.versions_[reference], state=state, from_utc=since))

    def reject_policy(self, reference: str, reason: str) -> PolicyRow:
        self._enter("reject_policy")
        self.rejected.append((reference, reason))
        return self._now(replace(self.versions_[reference], state=State.REJECTED))

    def _now(self, one: PolicyRow) -> PolicyRow:
        self.versions_ = {**self.versions_, one.reference: one}
        return one
