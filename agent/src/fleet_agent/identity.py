"""Who this device is, as enrolment left it: the file ``enrolment.cbor`` in the state folder."""

from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.errors import ContractError
from dunlin_contract.limits import LIMITS
from dunlin_contract.schema import Record, at, format_version, text, uint
from fleet_agent.errors import SetupError
from fleet_agent.files import read_if_there
from fleet_agent.paths import Paths


class Enrolment(Record):
    """The device's name, its server (for renewals), its broker, and its certificate's lifetime (Unix seconds)."""

    CAP_BYTES: ClassVar[int] = LIMITS.enrolment_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    url: str = at(2, text(LIMITS.url_bytes, least=1))
    broker_host: str = at(3, text(LIMITS.url_bytes, least=1))
    broker_port: int = at(4, uint(65535, 1))
    certified: int = at(5, uint(LIMITS.time_s))
    certificate_ends: int = at(6, uint(LIMITS.time_s))


def enrolled(paths: Paths) -> Enrolment:
    """The device's enrolment.

    Raises:
        SetupError: there is none, or it is damaged.
    """
    data = read_if_there(paths.enrolment)
    if data is None:
        raise SetupError(f"no device is enrolled in {paths.base}: run fleet-agent enroll --token-file FILE first")
    try:
        return Enrolment.from_bytes(data)
    except ContractError as error:
        raise SetupError(f"{paths.enrolment} is damaged ({error}): enrol this device anew") from None
