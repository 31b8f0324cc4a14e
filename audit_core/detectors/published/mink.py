"""Min-K% (Shi 2024), K = 20: members have no very unlikely token.

Generative: mean of the lowest 20 % of ℓ_t. Contrastive: the less likely of the two directions (SigLIP: log σ
of the own logit). Matching: log p(match).
"""

from __future__ import annotations

from audit_core.detectors.seam import one_scalar, register

register(__name__, one_scalar("mink", "mink", "Shi 2024"))
