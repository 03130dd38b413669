"""People of made-up organizations: their memberships as identity would tell them, and their tokens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID, uuid4

from aiohttp import web
from joserfc import jwt
from joserfc.jwk import ECKey

from bailiwick_contracts.envelope import Sequenced
from bailiwick_contracts.identity import MemberChanged, OrganizationChanged, Settings
from bailiwick_kit.clock import END_OF_TIME
from bailiwick_kit.web.read_your_writes import Position, Seal

ISSUER = "http://bailiwick.test"
DOOR_SECRET = "a-door-secret-for-tests"  # noqa: S105
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Person:
    """A member, or a storefront, with the token that it calls with."""

    org_id: UUID
    member_id: UUID
    token: str

    @property
    def headers(self) -> dict[str, str]:
        """What to send to be this person."""
        return {"Authorization": f"Bearer {self.token}"}

    def after(self, *positions: Position) -> dict[str, str]:
        """Return what to send to see what was written in their organization."""
        (given,) = Seal(DOOR_SECRET).written(self.org_id, *positions).values()
        return {"Bailiwick-After": given}


@dataclass
class MadeUpIdentity:
    """Stands in for identity: makes organizations and people, signs tokens, serves keys and a change feed.

    `events` holds the newest state of each entity, as the change feed tells it.
    """

    key: ECKey = field(
        default_factory=lambda: ECKey.generate_key("P-256", {"kid": "test", "alg": "ES256"})
    )
    events: dict[UUID, Sequenced] = field(default_factory=dict)
    _seqs: dict[UUID, int] = field(default_factory=dict)

    def organization(self, *, org_id: UUID | None = None, **changes: Any) -> UUID:
        """Make an organization, or change one; settings are given by name."""
        org_id = org_id or uuid4()
        known = self.events.get(org_id)
        version = known.version + 1 if known else 1
        outer = {k: changes.pop(k) for k in ("name", "time_zone", "currency") if k in changes}
        described = {
            "name": "Wines & Co.",
            "time_zone": "Europe/Madrid",
            "currency": "EUR",
            **outer,
        }
        self.events[org_id] = OrganizationChanged(
            org_id=org_id,
            version=version,
            seq=self._next(org_id),
            settings=Settings(**changes),
            package="standard",
            seat_limit=None,
            **described,
        )
        return org_id

    def person(self, org_id: UUID, role: str | None = None, **changes: Any) -> Person:
        """Make a member: by role, by `permissions`, or a storefront with `kind="service"`."""
        member_id = changes.pop("member_id", None) or uuid4()
        known = self.events.get(member_id)
        permissions = changes.pop("permissions", None)
        described: Mapping[str, Any] = {
            "kind": "member",
            "mode": "role" if permissions is None else "permissions",
            "role": role,
            "permissions": tuple(permissions or ()),
            "ticks": {},
            "collections": (),
            "status": "active",
            "valid_from": LONG_AGO,
            "valid_until": END_OF_TIME,
            "name": "Somebody",
            "email": None,
            **changes,
        }
        event = MemberChanged(
            org_id=org_id,
            version=known.version + 1 if known else 1,
            seq=self._next(org_id),
            member_id=member_id,
            **described,
        )
        self.events[member_id] = event
        return Person(org_id, member_id, self.token(event))

    def renewed(self, person: Person) -> Person:
        """Return the person with a new token: each is good for ten minutes."""
        member = cast("MemberChanged", self.events[person.member_id])
        return replace(person, token=self.token(member))

    def token(self, member: MemberChanged, **claims: Any) -> str:
        """Sign an access token for a member (D2)."""
        now = datetime.now(UTC)
        payload = {
            "iss": ISSUER,
            "aud": "bailiwick",
            "sub": str(member.member_id if member.kind == "service" else uuid4()),
            "org": str(member.org_id),
            "mem": str(member.member_id),
            "mver": member.version,
            "kind": member.kind,
            "sid": str(uuid4()),
            "iat": int(now.timestamp()),
            "exp": int((now + timedelta(minutes=10)).timestamp()),
            **claims,
        }
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "test"}
        return jwt.encode(header, payload, self.key)

    def application(self) -> web.Application:
        """Return a small server with the keys and the change feed."""
        app = web.Application()
        app.router.add_get("/.well-known/jwks.json", self._jwks)
        app.router.add_get("/internal/v1/changes", self._changes)
        return app

    async def _jwks(self, _: web.Request) -> web.Response:
        return web.json_response({"keys": [self.key.as_dict(private=False)]})

    async def _changes(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {DOOR_SECRET}":
            return web.Response(status=401)
        org = request.query.get("org")
        if org is None:
            heads = [{"org_id": str(one), "head": seq} for one, seq in self._seqs.items()]
            return web.json_response({"heads": heads})
        after, limit = int(request.query.get("after", "0")), int(request.query.get("limit", "1000"))
        found = sorted(
            (e for e in self.events.values() if e.org_id == UUID(org) and e.seq > after),
            key=lambda event: event.seq,
        )
        changes = [
            {"seq": event.seq, "type": event.type, "data": event.model_dump(mode="json")}
            for event in found[:limit]
        ]
        head = self._seqs.get(UUID(org), 0)
        complete = len(found) < limit
        return web.json_response({"head": head, "complete": complete, "changes": changes})

    def _next(self, org_id: UUID) -> int:
        self._seqs[org_id] = self._seqs.get(org_id, 0) + 1
        return self._seqs[org_id]
