"""Judging a release by its real requests. The supervisor sees crashes; everything else is the front's numbers."""

from dataclasses import dataclass

from dunlin_contract.settings import Settings
from dunlin_contract.sketch import Sketch

ERROR_SHARE = 0.05
"""More than one request in twenty failing is a broken release ..."""
ERRORS_AT_LEAST = 3
"""... but one unlucky request is not."""
NONFINITE_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Observed:
    """What the release did since it began to serve. ``count``: all answers, ``errors`` and ``nonfinite`` among them.

    ``latency_us``: time inside the runtime.
    """

    elapsed_s: float
    count: int
    errors: int
    nonfinite: int
    latency_us: Sketch


@dataclass(frozen=True, slots=True)
class Verdict:
    """``passed`` is None while it is too early to say."""

    passed: bool | None
    code: str = ""
    text: str = ""


WAIT = Verdict(None)
PASSED = Verdict(True)


def judge(seen: Observed, p95_budget_us: int, settings: Settings) -> Verdict:
    """Whether the release stays, goes, or is watched further.

    Errors and non-finite outputs count as they happen; latency needs ``probation_requests`` samples. Without enough
    requests the release stays once ``probation_max_s`` have passed with nothing against it.
    """
    if seen.errors >= ERRORS_AT_LEAST and seen.errors > ERROR_SHARE * seen.count:
        return Verdict(False, "errors", f"{seen.errors} of {seen.count} requests failed")
    if seen.nonfinite > NONFINITE_SHARE * seen.count:
        return Verdict(False, "nonfinite", f"{seen.nonfinite} of {seen.count} answers held NaN or infinity")
    enough = seen.count >= settings.probation_requests
    p95 = seen.latency_us.quantile(0.95)
    if enough and p95 > p95_budget_us:
        return Verdict(False, "latency", f"p95 {p95:.0f} us is over the budget of {p95_budget_us} us")
    if enough and seen.elapsed_s >= settings.probation_s:
        return PASSED
    return PASSED if seen.elapsed_s >= settings.probation_max_s else WAIT
