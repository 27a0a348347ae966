"""Errors of the contract.

ContractError              bytes from outside were refused; ``rule`` names why
 ├─ LimitError             longer, or more, than the contract allows
 ├─ MalformedError         not the encoding that it should be
 ├─ SchemaError            well encoded, but not the closed schema
 ├─ SignatureError         not signed by those who must sign it
 ├─ MismatchError          two parts that must agree do not
 └─ PolicyError            genuine, but not to be accepted here and now
"""


class ContractError(Exception):
    """Refused by one rule.

    ``rule`` is the rule's name (see :class:`dunlin_contract.rules.Rule`), ``detail`` one line for people.
    """

    def __init__(self, rule: str, detail: str) -> None:
        super().__init__(rule, detail)
        self.rule = rule
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.detail} [{self.rule}]"


class LimitError(ContractError):
    """Longer, or more, than the contract allows."""


class MalformedError(ContractError):
    """Not the encoding that it should be."""


class SchemaError(ContractError):
    """Well encoded, but not the closed schema."""


class SignatureError(ContractError):
    """Not signed by those who must sign it."""


class MismatchError(ContractError):
    """Two parts that must agree do not."""


class PolicyError(ContractError):
    """Genuine, but not to be accepted here and now."""
