"""What opacus' accountants make of a vendor's own parameters: upper bounds on ε for DP-SGD.

Both count Poisson-sampled Gaussian steps between training sets of which one has a unit more. RDP (Mironov,
Talwar & Zhang 2019, turned into ε by Balle et al. 2020, Theorem 21) proves an upper bound that may be loose;
PRV (Gopi, Lee & Wutschitz 2021) encloses ε to its stated error. Opacus' third, GDP, is the limit of a central
limit theorem and can be too low, as opacus itself warns: it proves nothing and is not asked.
"""

from __future__ import annotations

import math
import warnings
from typing import Final

from audit_core.claims import Account, Budget

PRV, RDP = "PRV", "RDP"
LARGEST_DOMAIN: Final = 1 << 23  # points: half a minute and less than 2 GiB
ERRORS: Final = (0.01, 0.1)  # of ε in PRV; the second where the first takes too many points
MORE_THAN_RDP: Final = "its floating-point error is too large: it gives more than the accountant RDP proves"
NOT_FINITE: Final = "it gives no finite number"
NOT_CONVERGED: Final = "it did not converge"
TOO_LARGE: Final = "it would take more memory than a recomputation may"
NO_DELTA: Final = "with Gaussian noise no finite epsilon holds at a delta of 0"
REASONS: Final = (MORE_THAN_RDP, NOT_FINITE, NOT_CONVERGED, TOO_LARGE, NO_DELTA)
_STOPS: Final = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


def missing_parameters(budget: Budget) -> tuple[str, ...]:
    """What a claim lacks for recomputing it, in words."""
    wanted = {
        "the noise multiplier": budget.noise,
        "the sampling rate": budget.sampling_rate,
        "the number of steps": budget.steps,
    }
    return tuple(name for name, value in wanted.items() if value is None)


def accounts(budget: Budget) -> tuple[Account, ...]:
    """PRV and RDP on a claim's parameters; each a bound, or why there is none.

    Args:
        budget: with noise, sampling rate and steps.
    """
    if not budget.delta:
        return Account(PRV, None, None, NO_DELTA), Account(RDP, None, None, NO_DELTA)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of orders at their end: a bound is valid at any order
        rdp = _rdp(budget)
        return _believed(_prv(budget), rdp), rdp


def _history(budget: Budget) -> list[tuple[float, float, int]]:
    assert budget.noise is not None and budget.sampling_rate is not None and budget.steps is not None
    return [(budget.noise, budget.sampling_rate, budget.steps)]


def _rdp(budget: Budget) -> Account:
    from opacus.accountants import RDPAccountant

    accountant = RDPAccountant()
    accountant.history = _history(budget)
    try:
        upper = float(accountant.get_epsilon(budget.delta))
    except _STOPS:
        return Account(RDP, None, None, NOT_CONVERGED)
    if not math.isfinite(upper):
        return Account(RDP, None, None, NOT_FINITE)
    return Account(RDP, max(0.0, upper), None)


def _prv(budget: Budget) -> Account:
    """ε between two bounds. Opacus' public way returns the upper one only; this is what it calls."""
    from opacus.accountants import PRVAccountant
    from opacus.accountants.analysis.prv import PoissonSubsampledGaussianPRV

    accountant = PRVAccountant()
    accountant.history = _history(budget)
    noise, rate, steps = accountant.history[0]
    delta_error = budget.delta / 1000
    try:
        for error in ERRORS:
            one = PoissonSubsampledGaussianPRV(rate, noise)
            domain = accountant._get_domain([one], [steps], error, delta_error)
            if domain.size <= LARGEST_DOMAIN:
                break
        else:
            return Account(PRV, None, None, TOO_LARGE)
        composed = accountant._get_dprv(eps_error=error, delta_error=delta_error)
        lower, _, upper = map(float, composed.compute_epsilon(budget.delta, delta_error, error))
    except _STOPS:
        return Account(PRV, None, None, NOT_CONVERGED)
    if not (math.isfinite(lower) and math.isfinite(upper)):
        return Account(PRV, None, None, NOT_FINITE)
    return Account(PRV, max(0.0, upper), max(0.0, lower))


def _believed(prv: Account, rdp: Account) -> Account:
    """PRV, unless it claims more than RDP proves to be enough."""
    if prv.lower is not None and rdp.upper is not None and prv.lower > rdp.upper:
        return Account(PRV, None, None, MORE_THAN_RDP)
    return prv
