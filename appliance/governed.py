"""The acts around a site's policies: propose, compare, try on past audits, approve, reject.

Approving takes what opening findings takes: a passphrase typed for it, and where the quorum is two a second
officer, who is not the one who proposed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from appliance.disclosed import Disclosed
from appliance.errors import NotPermitted, PolicyError, UsageError
from appliance.evidence.entries import Act
from appliance.logged import Logged

if TYPE_CHECKING:
    from appliance.finding_views import Second
    from appliance.policies.shelf import Deed, Shelf, Version
    from appliance.policies.views import (
        ApprovalNeed,
        DryRunView,
        PolicyDifference,
        PolicyRow,
        PolicyView,
        TightenedPolicy,
    )
    from appliance.policy_file import LoadedPolicy

LONGEST_REASON = 2000  # characters


class Governed(Disclosed, Logged):
    """Policies of one site."""

    def policies(self) -> tuple[str, ...]:
        """Names of the policies an audit can run under: shipped ones, and those a site has in force."""
        from appliance.policies.shelf import names

        return names(self._workspace, self._log)

    def policy_versions(self) -> tuple[PolicyRow, ...]:
        """Every version of every policy, by name.

        Raises:
            IntegrityError: a text or a note of a deed is not what was logged.
        """
        from appliance.policies import shown

        shelf = self._shelf()
        return tuple(shown.row(self._workspace, self._log, shelf, one) for one in shelf.versions)

    def policy(self, reference: str) -> PolicyView:
        """One version whole: its text, and who proposed, approved or rejected it, when.

        Args:
            reference: NAME@VERSION; or NAME, for what waits for approval under it, else is in force.

        Raises:
            UsageError: there is none.
            IntegrityError: as `policy_versions`.
        """
        from appliance.policies import shown

        shelf = self._shelf()
        return shown.view(self._workspace, self._log, shelf, self._policy_named(shelf, reference))

    def propose_policy(self, file: Path, reason: str = "") -> PolicyRow:
        """Put a policy file up for approval; nothing is decided by it before.

        Args:
            file: TOML, checked strictly.
            reason: why, as far as one is given; it is sealed.

        Raises:
            PolicyError: not a policy, or its name or version cannot be used.
            UsageError: another proposal of this name waits, or it is in force already.
        """
        from appliance.policies import shelf

        proposed = shelf.from_file(file)
        shelf.check_proposal(self._shelf(), proposed)
        version = shelf.Version.of(proposed)
        deed = self._deed(shelf.PROPOSE, version, reason=reason)

        def again() -> None:
            shelf.check_proposal(self._shelf(), proposed)
            shelf.keep_text(self._workspace, proposed)

        self._decided(deed, again)
        return self.policy(version.reference).row

    def diff_policies(self, first: str, second: str = "") -> PolicyDifference:
        """Two policies key by key, and which way each change goes.

        Args:
            first: NAME@VERSION, NAME for what is in force, or a file; alone, NAME for what waits under it.
            second: the same; "" to compare what waits under `first` with what is in force.

        Raises:
            UsageError: there is no such policy, or none waits.
        """
        from appliance.policies.difference import difference

        shelf = self._shelf()
        if second:
            return difference(self._policy_text(shelf, first), self._policy_text(shelf, second))
        proposed = self._policy_named(shelf, first)
        current = shelf.in_force(proposed.name)
        if current is None or current is proposed:
            raise UsageError(
                f"nothing else is in force as {proposed.name}", "name two policies, as NAME@VERSION or a file"
            )
        return difference(current.loaded, proposed.loaded)

    def dry_run_policy(self, reference: str, since: str = "") -> DryRunView:
        """What a policy would have made of every finished audit, as far as that can be told without a model.

        Args:
            reference: NAME@VERSION; NAME, for what waits under it, else is in force; or a file.
            since: only audits that finished on this day or later, as 2026-11-30.

        Raises:
            UsageError: no such policy, or no such day.
        """
        from appliance.policies.difference import reference as named
        from appliance.policies.dry_run import dry_run
        from appliance.policies.views import DryRunView

        first = _day(since).isoformat() if since else ""
        shelf = self._shelf()
        waiting = shelf.waiting(reference)
        tried = waiting[0].loaded if waiting else self._policy_text(shelf, reference)
        finished = (row for row in self._workspace.catalogue.audits() if row.state == "done")
        audits = (row for row in finished if row.finished_utc >= first)
        return DryRunView(named(tried), tuple(dry_run(tried, audits)))

    def tighten_policy(self, base: str, vendor: Path, into: Path | None = None) -> TightenedPolicy:
        """A policy with what a vendor's file asks for, where that is stricter; a text to be proposed.

        Args:
            base: NAME@VERSION, NAME for what is in force, or a file.
            vendor: TOML with any of a policy's keys.
            into: a new file for the text.

        Raises:
            PolicyError: there is no such policy, or the vendor's file has something else than what tightens.
            UsageError: it has nothing that tightens, or the new file is there already or cannot be written.
        """
        from appliance.policies.shelf import text_of
        from appliance.policies.tighten import tightened

        found = tightened(self._policy_text(self._shelf(), base), text_of(vendor), str(vendor))
        if into is not None:
            try:
                with into.open("x", encoding="utf-8") as file:
                    file.write(found.text)
            except OSError as error:
                raise UsageError(f"{into} cannot be written: {error.strerror}", "name a new file") from error
        return found

    def approval_need(self) -> ApprovalNeed:
        """What approving a policy takes now."""
        from appliance.policies.views import ApprovalNeed

        return ApprovalNeed(not self._has_typed(), self._workspace.keyring.quorum > 1)

    def approve_policy(
        self, reference: str, from_day: str = "", passphrase: str = "", second: Second | None = None
    ) -> PolicyRow:
        """Let a proposal decide audits, from a day on.

        Args:
            reference: NAME@VERSION of what waits.
            from_day: as 2026-11-30, from midnight UTC; "" for at once.
            passphrase: of whoever works here, where it was not typed for this program.
            second: where two approve together; present for this act alone.

        Raises:
            UsageError: nothing of this name and version waits, or the day is past or none.
            PolicyError: it, or what it replaces, asks for more people than open findings here.
            NotPermitted: somebody is missing, or the second person is who proposed it.
            Locked: a wrong passphrase, or too many of them.
        """
        from appliance.policies.shelf import APPROVE

        shelf = self._shelf()
        version = self._proposal(shelf, reference)
        from_utc = max(shelf.now, f"{_day(from_day)}T00:00:00+00:00") if from_day else shelf.now
        if from_day and from_day < shelf.now[:10]:
            raise UsageError(f"{from_day} is past", "a policy comes into force today or later")
        self._expect_quorum(shelf, version)
        typed = self._typed
        try:
            if passphrase:
                self._type(passphrase)
            with self._beside(second):
                self._expect_approvers(version)
                deed = self._deed(APPROVE, version, from_utc=from_utc)
                self._decided(deed, lambda: self._allowed(deed))
        finally:
            self._typed = typed
        return self.policy(version.reference).row

    def reject_policy(self, reference: str, reason: str) -> PolicyRow:
        """Take a proposal off the table.

        Args:
            reference: NAME@VERSION of what waits.
            reason: why; it is sealed.

        Raises:
            UsageError: nothing of this name and version waits, or no reason is given.
        """
        from appliance.policies.shelf import REJECT

        if not reason.strip():
            raise UsageError("a proposal is rejected with a reason", "say it in a few words")
        version = self._proposal(self._shelf(), reference)
        deed = self._deed(REJECT, version, reason=reason)
        self._decided(deed, lambda: self._still_waits(version))
        return self.policy(version.reference).row

    def prune_log(self, before: int, keep_years: int = 0) -> tuple[str, ...]:
        """Remove closed years; what was approved in them stays approved.

        Args:
            before: years before this one go.
            keep_years: 0 for what the policies in force ask for.

        Raises as `keeping.prune`, and:
            UsageError: fewer years than a policy in force asks for.
        """
        from appliance.policies.demands import kept_years
        from appliance.policies.shelf import renew

        keep_years = kept_years(self._shelf(), keep_years)
        renew(self._log, self._actor)
        return super().prune_log(before, keep_years)

    # -- how it is done --------------------------------------------------------------------------------

    def _shelf(self) -> Shelf:
        from appliance.policies.shelf import read

        return read(self._workspace, self._log)

    def _policies_waiting(self) -> tuple[str, ...]:
        """What an officer has to do about policies."""
        return tuple(
            f"policy {one.name} version {one.version} waits for approval" for one in self._shelf().waiting()
        )

    def _policy_named(self, shelf: Shelf, reference: str) -> Version:
        found = next(iter(shelf.waiting(reference)), None) or shelf.named(reference)
        if found is None:
            raise UsageError(f"no policy {reference}", "see `gradaudit policy ls`; NAME, or NAME@VERSION")
        return found

    def _policy_text(self, shelf: Shelf, reference: str) -> LoadedPolicy:
        """What is called NAME@VERSION or in force as NAME; else a file."""
        from appliance.policies.shelf import from_file

        found = shelf.named(reference)
        return found.loaded if found is not None else from_file(Path(reference))

    def _proposal(self, shelf: Shelf, reference: str) -> Version:
        for one in shelf.waiting():
            if one.reference == reference:
                return one
        exact = [one.reference for one in shelf.waiting(reference)]
        hint = f"name the version: {exact[0]}" if exact else "see `gradaudit policy ls`"
        raise UsageError(f"no policy {reference} waits for approval", hint)

    def _still_waits(self, version: Version) -> None:
        """Somebody else may have been first."""
        self._proposal(self._shelf(), version.reference)

    def _expect_quorum(self, shelf: Shelf, version: Version) -> None:
        """As many open findings together as the text, and what it replaces, asks for; a refusal is an entry.

        Raises:
            PolicyError: fewer.
        """
        from appliance.policies.demands import approved_before, check_quorum
        from appliance.policies.shelf import APPROVE, about

        try:
            for one in (version, *approved_before(shelf, version.name)):
                check_quorum(one.loaded, self._workspace.keyring.quorum)
        except PolicyError:
            self._record(APPROVE, about(version.name), "refused", policy_digest=version.digest)
            raise

    def _expect_approvers(self, version: Version) -> None:
        """Everybody who has to be here is; a refusal is an entry.

        Raises:
            NotPermitted: somebody is missing, or the second person is who proposed it.
        """
        from appliance.policies.shelf import APPROVE, about

        two = self._workspace.keyring.quorum > 1
        try:
            self._key_for(APPROVE, about(version.name))
        except NotPermitted:
            together = "two officers together approve a policy, each with" if two else "approving takes"
            raise NotPermitted(
                f"{together} a passphrase typed for it",
                "Name the second officer."
                if two
                else "Give the passphrase, not what `gradaudit unlock` keeps.",
            ) from None
        if two and version.deeds[-1].by[0] in self._besides():
            self._record(APPROVE, about(version.name), "refused", policy_digest=version.digest)
            raise NotPermitted(
                "whoever proposed a policy is not the second person who approves it",
                "Ask another officer; or let the proposer sign in, and the other one be the second.",
            )

    def _besides(self) -> tuple[str, ...]:
        """Everybody else who is here, as the log has them."""
        from appliance.policies.shelf import actor

        return tuple(actor(self._log, one.user) for one in self._present)

    def _deed(self, act: str, version: Version, *, from_utc: str = "", reason: str = "") -> Deed:
        from appliance.policies.shelf import APPROVE, Deed, now

        if len(reason) > LONGEST_REASON:
            raise UsageError(f"a reason has at most {LONGEST_REASON} characters", "say it in fewer words")
        by = (self._actor, *(self._besides() if act == APPROVE else ()))
        return Deed(act, version.name, version.version, version.digest, by, now(self._log), from_utc, reason)

    def _decided(self, deed: Deed, first: Callable[[], None]) -> None:
        """The deed, between its two entries; `first` may still refuse it."""
        from appliance.policies import shelf

        content, digest = shelf.note(deed)
        with self._act(deed.act, shelf.about(deed.name), policy_digest=deed.digest, detail_digest=digest):
            first()
            shelf.keep_note(self._workspace, content, digest)

    def _allowed(self, deed: Deed) -> None:
        """An entry for everybody who approves."""
        from appliance.policies.shelf import about

        self._proposal(self._shelf(), f"{deed.name}@{deed.version}")
        policy = self._log.identifier(about(deed.name))
        self._log.append_all(
            [Act(deed.act, policy, "allowed", actor, policy_digest=deed.digest) for actor in deed.by]
        )


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise UsageError(f"{text} is no day", "write it as 2026-11-30") from None
