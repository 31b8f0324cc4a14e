"""Min-K%++ (Zhang 2025), K = 20: how far below its neighbours the least likely tokens lie.

Generative: mean of the lowest 20 % of (ℓ_t − μ_t)/σ_t, with μ_t = Σ p log p and σ_t² = Σ p (log p)² − μ_t²
over the vocabulary. Contrastive: own logit in standard deviations of the bank's, mean of both directions.
Matching: log-odds of the match.
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

register(__name__, one_scalar("minkpp", "minkpp", "Zhang 2025"))
