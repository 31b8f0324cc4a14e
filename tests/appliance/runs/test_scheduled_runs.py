"""A schedule that is due, to its verdict: the command ends, the audit runs on in a process of its own."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from appliance.api import Appliance
from appliance.evidence.clock import SystemClock
from appliance.runs import launching
from appliance.schedule_views import Schedule
from tests.appliance import small_site

PATIENCE_S = 300.0


class Later(SystemClock):
    """The machine's clock, a day on."""

    def utc_ms(self) -> int:
        """Tomorrow."""
        return super().utc_ms() + 86_400_000


def test_what_is_due_is_audited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Missed by a day, caught up once: the audit comes to its end after the workspace was closed."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    root = small_site.build(tmp_path)
    hour = (datetime.now(UTC) + timedelta(hours=1)).hour
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        site.add_schedule(Schedule("nightly", f"0 {hour} * * *", "UTC", "all", "spring", "demo"))
        site._log.clock = Later()
        (row,) = site.run_due()
        assert (row.model, row.why) == ("tiny", "")
        assert site.run_due() == ()
    end = time.monotonic() + PATIENCE_S
    while launching.working(root):
        assert time.monotonic() < end, "it never ended"
        time.sleep(0.05)
    with Appliance.unlock(root, small_site.PASSPHRASE) as site:
        (audit,) = site.audits()
        assert (audit.audit_id, audit.state, audit.policy) == (row.audit, "done", "demo")
        assert site.schedules()[0].last_told == f"tiny {audit.verdict}"
