"""The acts around cases: a FAIL or REVIEW is one; who owns it, what was decided and why.

The log has an entry before and after every step, and the digest of what was typed (`cases.steps`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from appliance.errors import UsageError
from appliance.logged import Logged

if TYPE_CHECKING:
    from appliance.cases.standing import Case, Cases
    from appliance.cases.views import CaseRow, CaseView


class Cased(Logged):
    """Cases of one site."""

    def cases(self) -> tuple[CaseRow, ...]:
        """Every case, open and overdue ones first.

        Raises:
            IntegrityError: the record of a step is not what was logged.
        """
        return self._cases().rows()

    def case(self, audit_id: str) -> CaseView:
        """One case whole, with every reason; it goes by the audit whose verdict opened it.

        Raises:
            UsageError: this audit opened none.
            IntegrityError: as `cases`.
        """
        cases = self._cases()
        _expect(cases, audit_id)
        return cases.view(audit_id, self._people())

    def assign_case(self, audit_id: str, owner: str = "") -> CaseView:
        """Give a case an owner: a user of the workspace, or yourself.

        Raises:
            UsageError: no such case or user, or the case is closed.
            IntegrityError: as `cases`.
        """
        from appliance.cases import steps

        name = owner or self._workspace.user.name
        if name not in self._people():
            raise UsageError("no such user can own a case", "one of " + ", ".join(self._people()))
        return self._step(audit_id, steps.ASSIGN, owner=name)

    def decide_case(self, audit_id: str, decision: str, reason: str, answers: Sequence[str] = ()) -> CaseView:
        """Write down what was decided about a case, and why; the reason is sealed, the log has its digest.

        Args:
            audit_id: whose verdict opened the case.
            decision: `accepted`, `disputed`, `referred` or `closed`.
            reason: in a sentence.
            answers: clocks whose duty was met, or does not arise, as the reason says; `closed` answers all.

        Raises:
            UsageError: no such case, decision or clock; the reason says too little; the case is closed.
            IntegrityError: as `cases`.
        """
        from appliance.cases import steps

        answered = steps.check_answers(decision, answers)
        said = steps.check_reason(reason)
        return self._step(audit_id, steps.DECIDE, decision=decision, reason=said, answers=answered)

    def reopen_case(self, audit_id: str, reason: str) -> CaseView:
        """Take a decision back: both clocks run again, from the same first knowledge.

        Raises:
            UsageError: no such case, nothing was decided, or the reason says too little.
            IntegrityError: as `cases`.
        """
        from appliance.cases import steps

        return self._step(audit_id, steps.REOPEN, reason=steps.check_reason(reason))

    def prune_log(self, before: int, keep_years: int = 0) -> tuple[str, ...]:
        """Remove closed years; steps of cases stay known. Raises as `keeping.prune`."""
        from appliance.cases import steps

        steps.keep(self._log, self._cases().steps(), self._actor)
        return super().prune_log(before, keep_years)

    # -- how it is done --------------------------------------------------------------------------------

    def _people(self) -> list[str]:
        """Who can own a case."""
        return [user.name for user in self._workspace.keyring.users() if user.role.types_a_passphrase]

    def _cases(self) -> Cases:
        from appliance.cases.standing import Cases

        catalogue = self._workspace.catalogue
        return Cases(self._log, catalogue.audits(), catalogue.case_steps)

    def _open_cases(self) -> tuple[CaseRow, ...]:
        """Those that are not closed."""
        from appliance.cases.views import CaseState

        return tuple(row for row in self._cases().rows() if row.state is not CaseState.CLOSED)

    def _step(
        self,
        audit_id: str,
        act: str,
        *,
        decision: str = "",
        owner: str = "",
        reason: str = "",
        answers: Sequence[str] = (),
    ) -> CaseView:
        from appliance.cases import steps

        _expect(self._cases(), audit_id)
        content, digest = steps.record(
            self._log,
            self._actor,
            act,
            audit_id,
            decision=decision,
            owner=owner,
            reason=reason,
            answers=answers,
        )
        with self._act(act, "case", audit_id, detail_digest=digest):
            _expect_legal(self._cases()[audit_id], act)
            self._workspace.catalogue.add_case_step(digest, content)
        return self.case(audit_id)


def _expect(cases: Cases, audit_id: str) -> None:
    if audit_id not in cases:
        raise UsageError("this audit opened no case", "see `gradaudit case ls`: a FAIL or REVIEW opens one")


def _expect_legal(case: Case, act: str) -> None:
    """Whether a step is possible now, while nobody else can take one."""
    from appliance.cases.steps import REOPEN
    from appliance.cases.views import CaseState

    if act == REOPEN and case.state is CaseState.OPEN:
        raise UsageError("nothing was decided about this case yet", "see `gradaudit case show`")
    if act != REOPEN and case.state is CaseState.CLOSED:
        raise UsageError("this case is closed", "take the decision back first: `gradaudit case reopen`")
