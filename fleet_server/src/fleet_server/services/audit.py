"""Who did what. Written in the same transaction as the change itself."""

from typing import Any

from sqlmodel import Session, col, select

from fleet_server.db.models import AuditRow

CLI = "cli"  # actor: somebody with a shell on the server's machine
SERVER = "server"  # actor: a decision of the server itself


def record(session: Session, actor: str, action: str, target: str, detail: dict[str, Any], now: float) -> None:
    """Add one row. `actor` is "user:NAME", "token:NAME", `CLI` or `SERVER`; `action` is "thing.verb"."""
    session.add(AuditRow(at=now, actor=actor, action=action, target=target, detail=detail))


def page(session: Session, limit: int, before: int | None = None, target: str | None = None) -> list[AuditRow]:
    """Up to `limit` rows, newest first, older than row `before`; of one `target` ("rollout:3"), or of all."""
    query = select(AuditRow).order_by(col(AuditRow.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(AuditRow.id) < before)
    if target is not None:
        query = query.where(AuditRow.target == target)
    return list(session.exec(query))
