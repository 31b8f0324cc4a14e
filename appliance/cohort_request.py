"""What is asked for when a cohort is to be frozen; both front ends make one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class CohortRequest:
    """What the officer asked for.

    Attributes:
        selections: role ("member", "control", "target", "bank", "post_release") -> file, query, `all`,
            `rest` (every patient that no other role names), `rest` and a query, or "" for nobody.
        fitting_share: share of control patients used for mask and fusion; the others give p-values.
        roles_file: one list with a column `role`, beside the selections or instead of them.
        sizes: role -> patients to draw of those selected, evenly over strata.
        match_controls: draw the controls so that their strata have the shares they have among the targets.
    """

    name: str
    selections: Mapping[str, str]
    design: str
    references: str
    fitting_share: float
    seed: int
    roles_file: str = ""
    sizes: Mapping[str, int] = field(default_factory=dict)
    match_controls: bool = False
