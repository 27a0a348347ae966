"""People, their sessions, and API tokens. Secrets are kept only as hashes."""

import base64
import hashlib
import secrets
from dataclasses import dataclass

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from sqlalchemy import delete
from sqlmodel import Session, col, select

from fleet_server.context import Context
from fleet_server.db.models import ApiTokenRow, LoginThrottleRow, SessionRow, UserRow
from fleet_server.errors import ConflictError, InvalidError, NotFoundError, SignInError, ThrottledError
from fleet_server.services import audit

ROLES = ("viewer", "operator", "admin")  # each may do what those before it may
SESSION_S = 12 * 3600.0
PASSWORD_CHARS = range(8, 257)
TOKEN_PREFIX = "dnl_"  # noqa: S105 - lets secret scanners know a leaked API token

_LOG2_N, _R, _P = 15, 8, 1  # scrypt (RFC 7914): 32 MiB, about 0.1 s
_FREE_TRIES = {"user": 5, "addr": 20}  # an address may be a whole office behind one router
_DELAY_MAX_S = 900.0


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a request comes from."""

    actor: str  # "user:NAME" or "token:NAME", as audit rows have it
    name: str
    role: str
    csrf: str | None  # of a browser session; None for a token

    def may(self, role: str) -> bool:
        """Whether this identity holds `role` or a higher one."""
        return ROLES.index(self.role) >= ROLES.index(role)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A fresh browser session; `cookie` is shown once."""

    cookie: str
    identity: Identity
    expires: float


def add_user(session: Session, name: str, password: str, role: str, actor: str, now: float) -> UserRow:
    """Create a user. Raises: InvalidError (name, password or role), ConflictError (name taken)."""
    _check_name(name)
    _check_role(role)
    if len(password) not in PASSWORD_CHARS:
        raise InvalidError(f"a password has {PASSWORD_CHARS.start} to {PASSWORD_CHARS.stop - 1} characters")
    if session.get(UserRow, name) is not None:
        raise ConflictError(f"there is a user {name!r} already: choose another name")
    row = UserRow(name=name, password_hash=hash_password(password), role=role, created=now)
    session.add(row)
    audit.record(session, actor, "user.add", f"user:{name}", {"role": role}, now)
    return row


def sign_in(ctx: Context, name: str, password: str, address: str) -> SignedIn:
    """Check a password and open a session; slows down guessing by name and by `address`.

    Commits by itself, before and after the check, so that parallel guesses are counted too.
    Raises: SignInError (unknown name or wrong password, not told apart), ThrottledError.
    """
    now = ctx.clock()
    keys = [f"user:{name[:64]}", f"addr:{address[:64]}"]
    with ctx.db.write() as session:
        for key in keys:
            _count_attempt(session, key, now)
    with ctx.db.read() as session:
        user = session.get(UserRow, name[:64])
    stored = user.password_hash if user is not None and not user.disabled else _DUMMY_HASH
    if not check_password(password[:1024], stored) or user is None or user.disabled:
        raise SignInError("unknown name or wrong password: try again")
    cookie, csrf = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
    with ctx.db.write() as session:
        # Only the name's count: one right password must not wash an address clean of guesses at other names.
        session.exec(delete(LoginThrottleRow).where(col(LoginThrottleRow.key) == keys[0]))
        session.exec(delete(SessionRow).where(col(SessionRow.expires) < now))
        expires = now + SESSION_S
        session.add(SessionRow(token_hash=_hash(cookie), user=user.name, csrf=csrf, created=now, expires=expires))
        audit.record(session, f"user:{user.name}", "session.open", f"user:{user.name}", {"address": address[:64]}, now)
    return SignedIn(cookie, Identity(f"user:{user.name}", user.name, user.role, csrf), expires)


def by_cookie(session: Session, cookie: str, now: float) -> Identity | None:
    """Who holds this session cookie; None if nobody does any more."""
    row = session.get(SessionRow, _hash(cookie))
    if row is None or row.expires <= now:
        return None
    user = session.get(UserRow, row.user)
    if user is None or user.disabled:
        return None
    return Identity(f"user:{user.name}", user.name, user.role, row.csrf)


def sign_out(session: Session, cookie: str) -> None:
    """Close a session; nothing happens if it is closed already."""
    session.exec(delete(SessionRow).where(col(SessionRow.token_hash) == _hash(cookie)))


def add_token(session: Session, name: str, role: str, actor: str, now: float) -> str:
    """Create an API token and return its text, which is not kept. Raises: InvalidError, ConflictError."""
    _check_name(name)
    _check_role(role)
    if session.get(ApiTokenRow, name) is not None:
        raise ConflictError(f"there is a token {name!r} already: remove it first, or choose another name")
    text = TOKEN_PREFIX + secrets.token_urlsafe(32)
    session.add(ApiTokenRow(name=name, token_hash=_hash(text), role=role, created=now, created_by=actor))
    audit.record(session, actor, "token.add", f"token:{name}", {"role": role}, now)
    return text


def remove_token(session: Session, name: str, actor: str, now: float) -> None:
    """Take an API token back. Raises: NotFoundError."""
    row = session.get(ApiTokenRow, name)
    if row is None:
        raise NotFoundError(f"there is no token {name[:64]!r}: check its name")
    session.delete(row)
    audit.record(session, actor, "token.remove", f"token:{name}", {}, now)


def by_token(session: Session, bearer: str, now: float) -> Identity | None:  # noqa: ARG001 - same shape as by_cookie
    """Who holds this API token; None if it is unknown."""
    row = session.exec(select(ApiTokenRow).where(ApiTokenRow.token_hash == _hash(bearer))).first()
    if row is None:
        return None
    return Identity(f"token:{row.name}", row.name, row.role, None)


def hash_password(password: str) -> str:
    """`scrypt$log2 n$r$p$salt$hash`, base64."""
    salt = secrets.token_bytes(16)
    derived = Scrypt(salt=salt, length=32, n=1 << _LOG2_N, r=_R, p=_P).derive(password.encode())
    parts = (base64.b64encode(part).decode() for part in (salt, derived))
    return "$".join(["scrypt", str(_LOG2_N), str(_R), str(_P), *parts])


def check_password(password: str, stored: str) -> bool:
    """Whether `password` is the one `stored` was made from."""
    _, log2_n, r, p, salt, derived = stored.split("$")
    kdf = Scrypt(salt=base64.b64decode(salt), length=32, n=1 << int(log2_n), r=int(r), p=int(p))
    try:
        kdf.verify(password.encode(), base64.b64decode(derived))
    except InvalidKey:
        return False
    return True


# Checked when the name is unknown, so that the answer takes as long as for a known one.
_DUMMY_HASH = (
    f"scrypt${_LOG2_N}${_R}${_P}${base64.b64encode(bytes(16)).decode()}${base64.b64encode(bytes(32)).decode()}"
)


def _count_attempt(session: Session, key: str, now: float) -> None:
    row = session.get(LoginThrottleRow, key, with_for_update=True) or LoginThrottleRow(key=key)
    if row.until > now:
        wait = max(1, round(row.until - now))
        raise ThrottledError(f"too many failed sign-ins: try again in {wait} s", retry_after_s=wait)
    if row.failures and now - row.until > _DELAY_MAX_S:
        row.failures = 0
    row.failures += 1
    over = row.failures - _FREE_TRIES[key.partition(":")[0]]
    row.until = now + (min(2.0**over, _DELAY_MAX_S) if over >= 0 else 0.0)
    session.add(row)


def _hash(secret: str) -> str:
    # The secrets are 256 random bits, so a plain hash cannot be searched backwards.
    return hashlib.sha256(secret.encode()).hexdigest()


def _check_name(name: str) -> None:
    if not 1 <= len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise InvalidError("a name has 1 to 64 printable characters, without spaces around it")


def _check_role(role: str) -> None:
    if role not in ROLES:
        raise InvalidError(f"no role {role!r}: choose one of {', '.join(ROLES)}")
