"""The listing of findings: what the database sifts, sorts and counts is what plain Python does."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from appliance.errors import UsageError
from appliance.finding_views import FindingsAsked
from appliance.findings import PRIORS, sifting
from appliance.workspace.database import open_engine, writing
from appliance.workspace.evidence_checked import silent
from appliance.workspace.evidence_columns import Columns, content_of
from appliance.workspace.evidence_listing import SORTS, ListedFinding, Listing, Sifting
from appliance.workspace.evidence_tables import METADATA, insert_findings
from appliance.workspace.keys import SecretKey

AUDIT, DETECTOR = "A-00000000000a", "fused"
ROLES = ("target", "calibration", "member")


def planted(number: int, seed: int) -> list[dict[str, object]]:
    """Findings as an audit seals them: ties, missing scores and missing probabilities among them."""
    draw = random.Random(seed)
    rows: list[dict[str, object]] = []
    for place in range(number):
        judged = draw.random() < 0.7
        value = round(draw.gauss(0, 2), 1)
        scored = {"value": value} if draw.random() < 0.8 else {"reason": "no tokens"}
        rows.append(
            {
                "pair_id": f"{draw.getrandbits(256):064x}",
                "patient": f"P-{draw.randrange(number // 2 + 1):04x}",
                "role": draw.choice(ROLES),
                "judged": judged,
                "flagged": judged and draw.random() < 0.2,
                "p_value": draw.randrange(1, 20) / 20 if judged else None,
                "scores": {DETECTOR: scored, "loss": {"value": 100.0 + place}},
                "leak_probability": {
                    p: draw.randrange(11) / 10 for p in PRIORS if judged and draw.random() < 0.8
                },
            }
        )
    return rows


def listed(rows: Sequence[dict[str, object]], asked: Sifting) -> list[ListedFinding]:
    """Slow oracle: the same by loops over the rows as they were sealed."""
    found = []
    for place, row in enumerate(rows):
        score = row["scores"][DETECTOR].get("value")  # type: ignore[index]
        likely = row["leak_probability"].get(asked.prior)  # type: ignore[attr-defined]
        facts = {name: row[name] for name in ("patient", "pair_id", "role", "judged", "flagged", "p_value")}
        pairs = sum(one["patient"] == row["patient"] for one in rows)
        found.append(ListedFinding(place, **facts, score=score, probability=likely, pairs=pairs))  # type: ignore[arg-type]
    kept = [
        one
        for one in found
        if (not asked.role or one.role == asked.role)
        and (one.flagged or not asked.flagged)
        and one.patient.startswith(asked.pseudonym)
        and (asked.min_score is None or (one.score is not None and one.score >= asked.min_score))
        and (
            asked.min_probability is None
            or (one.probability is not None and one.probability >= asked.min_probability)
        )
    ]
    last = float("inf")
    keys = {
        "audit": lambda one: (one.place,),
        "score": lambda one: (last if one.score is None else -one.score, one.place),
        "p-value": lambda one: (last if one.p_value is None else one.p_value, one.place),
        "probability": lambda one: (last if one.probability is None else -one.probability, one.place),
        "pseudonym": lambda one: (one.patient, one.place),
    }
    return sorted(kept, key=keys[asked.sort])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Listing, list[dict[str, object]]]]:
    """A listing of 300 findings beside another audit's, which must not be in it."""
    path = tmp_path_factory.mktemp("listing") / "evidence.db"
    engine = open_engine(path, SecretKey.random())
    rows = planted(300, 7)
    with engine.connect() as connection, writing(connection):
        METADATA.create_all(connection)
        insert_findings(connection, AUDIT, rows)
        insert_findings(connection, "A-00000000000b", planted(50, 8))
    with engine.connect() as connection:
        columns = Columns(content_of(connection, AUDIT, silent))
    listing = Listing(engine, path, columns, DETECTOR, PRIORS)
    yield listing, rows
    listing.close()
    engine.dispose()


SIFTINGS = st.builds(
    Sifting,
    role=st.sampled_from(("", "", *ROLES, "bank")),
    flagged=st.booleans(),
    pseudonym=st.sampled_from(("", "", "P", "P-00", "P-000a", "Q", "%", "P_")),
    min_score=st.none() | st.integers(-30, 30).map(lambda tenth: tenth / 10),
    prior=st.sampled_from(PRIORS),
    min_probability=st.none() | st.integers(0, 10).map(lambda tenth: tenth / 10),
    sort=st.sampled_from(tuple(SORTS)),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(SIFTINGS, st.integers(0, 320), st.integers(-1, 60))
def test_what_the_database_sifts_is_what_loops_sift(
    store: tuple[Listing, list[dict[str, object]]], asked: Sifting, offset: int, limit: int
) -> None:
    """Any filter, order, offset and limit: the same findings in the same order, and their exact number."""
    listing, rows = store
    expected = listed(rows, asked)
    assert listing.count(asked) == len(expected)
    end = None if limit < 0 else offset + limit
    assert list(listing.page(asked, offset, limit)) == expected[offset:end]


def test_pages_from_both_ends_make_the_whole(store: tuple[Listing, list[dict[str, object]]]) -> None:
    """Page by page, ties included, nothing is shown twice and nothing left out."""
    listing, rows = store
    for sort in SORTS:
        asked = Sifting(prior="0.01", sort=sort)
        pages = [one for start in range(0, 300, 7) for one in listing.page(asked, start, 7)]
        assert pages == listed(rows, asked)


def test_an_order_or_prior_that_is_none() -> None:
    """Named in the error; nothing reaches the database that is not of our own tables."""
    for asked in (FindingsAsked(sort="patient; DROP TABLE findings"), FindingsAsked(prior="0.5")):
        with pytest.raises(UsageError, match="no such"):
            sifting(asked)
    assert sifting(replace(FindingsAsked(), sort="score")).sort == "score"
