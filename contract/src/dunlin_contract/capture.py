"""An order to keep some of a model's inputs and send them to the fleet, signed by two people.

A director alone cannot make a device give away what its cameras see; nor can two ops keys against the device's owner,
whose consent is in the device's own configuration.
"""

from typing import ClassVar

from dunlin_contract import ids
from dunlin_contract.limits import LIMITS
from dunlin_contract.rules import Rule, require
from dunlin_contract.schema import Record, array, at, boolean, format_version, octets, text, uint


class CaptureOrder(Record):
    """Signed by two ops keys (COSE_Sign, role ``capture``), for one model of one device until ``not_after``.

    What is kept: ``random_permille`` of the requests; those whose two largest outputs are less than ``margin_permille``
    of the largest apart; those that a candidate on trial answers differently (``disagreement``); those whose largest
    output is one of ``classes``. At most ``per_day`` in 24 hours.
    """

    CAP_BYTES: ClassVar[int] = LIMITS.capture_bytes

    format: int = format_version(default=1)
    device: str = at(1, text(LIMITS.device_bytes, ids.is_device))
    order_id: bytes = at(2, octets(16))
    model: str = at(3, text(LIMITS.name_bytes, ids.is_model))
    issued: int = at(4, uint(LIMITS.time_s))
    not_after: int = at(5, uint(LIMITS.time_s))
    per_day: int = at(6, uint(100_000, 1))
    random_permille: int = at(7, uint(1000), default=0)
    margin_permille: int = at(8, uint(1000), default=0)
    disagreement: bool = at(9, boolean, default=False)
    classes: tuple[int, ...] = at(10, array(uint(65_535), 32), default=())

    def check(self) -> None:
        require(Rule.ORDER, list(self.classes) == sorted(set(self.classes)), "the classes of an order must ascend")


def check_capture(order: CaptureOrder, device: str, model: str) -> None:
    """Whether a genuine order is for this device and the model under whose name it came.

    Raises:
        PolicyError: ``device``.
    """
    for_it = order.device == device and order.model == model
    require(Rule.DEVICE, for_it, f"the capture order is for {order.model} on {order.device}")
