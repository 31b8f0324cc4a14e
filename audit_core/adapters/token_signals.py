"""What the log-probabilities at report tokens say, token by token and sample by sample (METHOD §4).

Letters: P tokens of all samples, V vocabulary, C columns, N tokens.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

LOWEST_SHARE = 0.2  # Min-K 20 %


def token_columns(logp_PV: Tensor, chosen_P: Tensor) -> Tensor:
    """[P, C] numbers of `TOKEN_COLUMNS` from the log-probabilities at report tokens."""
    p_PV = logp_PV.exp()
    mean_P = (p_PV * logp_PV).sum(1)
    spread_P = ((p_PV * logp_PV.square()).sum(1) - mean_P.square()).clamp_min(1e-12).sqrt()
    return torch.stack([chosen_P, mean_P, spread_P, logp_PV.amax(1)], dim=1)


def token_scalars(tokens_PC: Tensor, counts: Sequence[int]) -> dict[str, Tensor]:
    """Likelihood signals of METHOD §4 of every sample, from its tokens."""
    chosen_N, mean_N, spread_N, best_N = tokens_PC.unbind(1)
    standard_N = (chosen_N - mean_N) / spread_N
    out: dict[str, list[Tensor]] = {k: [] for k in ("neg_loss", "mink", "minkpp", "neg_entropy", "max_logp")}
    parts = (torch.split_with_sizes(t, list(counts)) for t in (chosen_N, standard_N, mean_N, best_N))
    for chosen, standard, mean, best in zip(*parts, strict=True):
        lowest = max(1, int(LOWEST_SHARE * len(chosen)))
        out["neg_loss"].append(chosen.mean())
        out["mink"].append(chosen.topk(lowest, largest=False).values.mean())
        out["minkpp"].append(standard.topk(lowest, largest=False).values.mean())
        out["neg_entropy"].append(mean.mean())
        out["max_logp"].append(best.mean())
    return {name: torch.stack(values) for name, values in out.items()}
