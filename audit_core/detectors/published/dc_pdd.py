"""DC-PDD (Zhang 2024): the model's probability of a token against its frequency in other radiology text.

Mean over first occurrences of min(p·log(1/f), a), a = 0.01 as released; see `readings.word_frequency`.
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

WHERE = "only models that predict a report's tokens have it"
register(__name__, one_scalar("dc_pdd", "dc_pdd", "Zhang 2024", WHERE, ("word_frequency",)))
