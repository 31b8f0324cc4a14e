"""How findings scale: one audit with a million of them, opened once, then paged, sorted and filtered.

    python benchmarks/scale_findings.py [--findings N] [--json]

The rows lie in a real evidence.db (SQLCipher, every page authenticated) with the digest that the log would
hold of them. "open" is what the first look of a session waits for: every row is read and compared with that
digest, and the listing is made. Everything else is what a key on the screen waits for, the slowest of some.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from appliance.findings import PRIORS
from appliance.workspace.database import writing
from appliance.workspace.evidence_batches import FINDINGS as KIND
from appliance.workspace.evidence_batches import EvidenceBatches
from appliance.workspace.evidence_checked import CheckedRows
from appliance.workspace.evidence_listing import SORTS, Listing, Sifting
from appliance.workspace.evidence_store import EvidenceStore, engine_of
from appliance.workspace.evidence_tables import BATCHES, FINDINGS, PROBABILITIES, SCORES, insert_rows
from appliance.workspace.keys import KeptKeys, RunKeys, SecretKey

AUDIT: Final = "A-00000000000a"
DETECTORS: Final = ("fused", "loss", "minkpp", "base_referenced", "gradaudit")
PAGE: Final = 128
GOAL_S: Final = 0.1
_STEP: Final = 1_000_003  # a prime, so that every place is dealt out once
_CHUNK: Final = 20_000  # findings an insert


def measured(findings: int = 1_000_000) -> list[dict[str, Any]]:
    """Rows of the table: name, value, unit, goal (None where none is set)."""
    with tempfile.TemporaryDirectory() as folder:
        store = _written(Path(folder), findings)
        try:
            opened = _seconds(lambda: store.listing(AUDIT, DETECTORS[0], PRIORS))
            rows = _keys(store.listing(AUDIT, DETECTORS[0], PRIORS), findings)
        finally:
            store.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return [
        _row("findings", findings, "findings", None),
        _row("findings_open_s", opened, "s", None),
        *rows,
        _row("findings_peak_mib", peak, "MiB", None),
    ]


def _keys(listing: Listing, findings: int) -> list[dict[str, Any]]:
    first = Sifting(prior="0.01", sort="score")
    ends = [findings * part // 20 for part in range(20)] + [findings - PAGE]
    pages = {
        sort: max(_asked(listing, replace(first, sort=sort), max(0, start)) for start in ends)
        for sort in SORTS
    }
    filters = (
        replace(first, flagged=True),
        replace(first, role="calibration"),
        replace(first, role="member", flagged=True),
        replace(first, min_probability=0.5),
        replace(first, min_score=2.5, role="target"),
        replace(first, pseudonym="P-00"),
    )
    sifted = max(_asked(listing, replace(one, sort=sort), 0) for one in filters for sort in SORTS)
    return [
        _row("findings_first_paint_s", _asked(listing, first, 0), "s", GOAL_S),
        *(_row(f"findings_scroll_{sort}_max_s", pages[sort], "s", GOAL_S) for sort in SORTS),
        _row("findings_filter_max_s", sifted, "s", GOAL_S),
    ]


def _asked(listing: Listing, asked: Sifting, offset: int) -> float:
    """Seconds for a page and its count, as `Appliance.findings_page` asks for both."""
    listing.count(Sifting(prior="0.1", pseudonym="nobody"))  # forgets the count before
    listing.version()
    return _seconds(lambda: (listing.page(asked, offset, PAGE), listing.count(asked)))


def _seconds(act: Callable[[], object]) -> float:
    begun = time.perf_counter()
    act()
    return time.perf_counter() - begun


def _row(name: str, value: float, unit: str, goal: float | None) -> dict[str, Any]:
    return {"name": name, "value": round(value, 4), "unit": unit, "goal": goal}


def _written(folder: Path, findings: int) -> EvidenceStore:
    """An evidence.db with that many findings of one audit, as a merge leaves it."""
    key, keys = SecretKey.random(), RunKeys(SecretKey.random(), KeptKeys.random())
    path = folder / "evidence.db"
    engine = engine_of(path, key)
    batches = EvidenceBatches(folder, keys, bytes(16), bytes(32))
    for start in range(0, findings, _CHUNK):
        with engine.connect() as connection, writing(connection):
            for table, rows in _made(range(start, min(start + _CHUNK, findings)), findings).items():
                insert_rows(connection, table, rows)
    with engine.connect() as connection, writing(connection):
        name = batches.name_of(KIND, AUDIT)
        insert_rows(connection, BATCHES, [{"name": name, "kind": KIND, "about": AUDIT}])
        CheckedRows(path, key, batches).note(connection, AUDIT)
    engine.dispose()
    return EvidenceStore(path, key, batches)


def _made(numbers: Sequence[int], of: int) -> Mapping[Any, list[dict[str, Any]]]:
    """Rows of some findings: pair ids ascend, as a merge sorts them, places in the audit are dealt out."""
    draw = random.Random(numbers[0])
    found, scores, likely = [], [], []
    for number in numbers:
        place = number * _STEP % of
        role = ("target", "target", "target", "calibration", "member")[place % 5]
        judged, value = role == "target", draw.gauss(0, 1)
        pair = {"audit_id": AUDIT, "pair_id": f"{number * (2**256 // of):064x}"}
        found.append(
            {
                **pair,
                "place": place,
                "patient": f"P-{draw.getrandbits(64):016x}",
                "role": role,
                "judged": judged,
                "flagged": judged and value > 3,
                "p_value": draw.random() if judged else None,
            }
        )
        scores += [{**pair, "detector": one, "value": value, "reason": ""} for one in DETECTORS]
        if judged:
            likely += [{**pair, "prior": one, "value": draw.random()} for one in PRIORS[:4]]
    return {FINDINGS: found, SCORES: scores, PROBABILITIES: likely}


def _said(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for row in rows:
        goal = "" if row["goal"] is None else f"  goal {row['goal']}"
        yield f"{row['name']:36} {row['value']:>12,.4f} {row['unit']}{goal}"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--findings", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    rows = measured(given.findings)
    print(json.dumps({"rows": rows}) if given.json else "\n".join(_said(rows)))


if __name__ == "__main__":
    main()
