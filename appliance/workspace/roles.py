"""Who may open a workspace, and what each role's keys open (SECURITY §2).

officer    RUN key; evidence key, alone or with a second one, by the quorum
operator   RUN key: takes in studies and models, runs audits
auditor    catalogue key: results and log, no study, report or finding
machine    RUN key from a credential file: scans nobody attends
recovery   on paper; like an officer
"""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a user is in a workspace."""

    OFFICER = "officer"
    OPERATOR = "operator"
    AUDITOR = "auditor"
    MACHINE = "machine"
    RECOVERY = "recovery"

    @property
    def runs(self) -> bool:
        """Whether the RUN key is granted to it."""
        return self is not Role.AUDITOR

    @property
    def sees_evidence(self) -> bool:
        """Whether the evidence key is granted to it, alone or in a pair."""
        return self in (Role.OFFICER, Role.RECOVERY)

    @property
    def types_a_passphrase(self) -> bool:
        """Whether its secret is made by a person; the others are random and need no slow derivation."""
        return self in (Role.OFFICER, Role.OPERATOR, Role.AUDITOR)
