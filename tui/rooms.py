"""Which screen a place is; a new place is a line here and one in `tui.places`."""

from __future__ import annotations

from typing import Final

from tui.screens.cases import CasesScreen
from tui.screens.compare import CompareScreen
from tui.screens.evidence import EvidenceScreen
from tui.screens.findings import FindingsScreen
from tui.screens.log import LogScreen
from tui.screens.models import ModelsScreen
from tui.screens.overview import OverviewScreen
from tui.screens.policies import PoliciesScreen
from tui.screens.runs import RunsScreen
from tui.screens.schedule import ScheduleScreen
from tui.screens.section import Section
from tui.screens.studies import StudiesScreen
from tui.screens.system import SystemScreen
from tui.screens.users import UsersScreen

ROOMS: Final[dict[str, type[Section]]] = {
    "overview": OverviewScreen,
    "runs": RunsScreen,
    "cases": CasesScreen,
    "findings": FindingsScreen,
    "log": LogScreen,
    "studies": StudiesScreen,
    "models": ModelsScreen,
    "policies": PoliciesScreen,
    "evidence": EvidenceScreen,
    "schedule": ScheduleScreen,
    "system": SystemScreen,
    "compare": CompareScreen,
    "users": UsersScreen,
}
"""All places but `result`, which shows the audit that was looked at last."""
