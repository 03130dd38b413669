"""Between rows and the domain: the one place that knows how an organization and a member are stored."""

from __future__ import annotations

import unicodedata
from dataclasses import asdict
from typing import Any

from sqlalchemy.engine import RowMapping

from bailiwick_contracts import identity as wire
from bailiwick_identity.domain.grants import Grants, Mode, Permission, Role, Tick
from bailiwick_identity.domain.member import Kind, Member, Status
from bailiwick_identity.domain.organization import Organization, Settings
from bailiwick_kit.text import search


def folded(text: str) -> str:
    """Return the text as the version before compares it, which may run beside this one."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def searched(name: str | None, email: str | None, version: int) -> dict[str, Any]:
    """Return the columns that a member is searched by (ADR 29)."""
    words = (word for text in (name, email) for word in search.words_of(text or ""))
    return {"words": search.kept(words), "words_version": version}


def organization_row(organization: Organization) -> dict[str, Any]:
    """Return an organization's columns, all but `seq`."""
    return asdict(organization)


def to_organization(row: RowMapping) -> Organization:
    """Return the organization in a row."""
    return Organization(
        org_id=row["org_id"],
        name=row["name"],
        time_zone=row["time_zone"],
        currency=row["currency"],
        package=row["package"],
        seat_limit=row["seat_limit"],
        settings=Settings(**row["settings"]),
        version=row["version"],
    )


def organization_event(organization: Organization, seq: int) -> wire.OrganizationChanged:
    """Return what the bus is told of an organization."""
    return wire.OrganizationChanged(
        org_id=organization.org_id,
        version=organization.version,
        seq=seq,
        name=organization.name,
        settings=wire.Settings(**asdict(organization.settings)),
        package=organization.package,
        seat_limit=organization.seat_limit,
        time_zone=organization.time_zone,
        currency=organization.currency,
    )


def member_row(member: Member) -> dict[str, Any]:
    """Return a member's columns, all but `seq`."""
    grants = member.grants
    return {
        "org_id": member.org_id,
        "member_id": member.member_id,
        "kind": member.kind.value,
        "mode": grants.mode.value,
        "role": grants.role.value if grants.role else None,
        "permissions": sorted(one.value for one in grants.permissions),
        "ticks": {column: tick.value for column, tick in grants.ticks.items()},
        "collections": list(grants.collections),
        "status": member.status.value,
        "valid_from": member.valid_from,
        "valid_until": member.valid_until,
        "name": member.name,
        "email": member.email,
        "language": member.language,
        "version": member.version,
        "account_id": member.account_id,
        "accepted_at": member.accepted_at,
        "listed_at": member.created_at,
        "search": folded(" ".join(filter(None, (member.name, member.email)))),
        **searched(member.name, member.email, member.version),
        "import_source": member.import_source,
        "external_ref": member.external_ref,
    }


def to_member(row: RowMapping) -> Member:
    """Return the member in a row."""
    return Member(
        org_id=row["org_id"],
        member_id=row["member_id"],
        kind=Kind(row["kind"]),
        grants=Grants(
            mode=Mode(row["mode"]),
            role=Role(row["role"]) if row["role"] else None,
            permissions=frozenset(Permission(one) for one in row["permissions"]),
            ticks={column: Tick(tick) for column, tick in row["ticks"].items()},
            collections=tuple(row["collections"]),
        ),
        status=Status(row["status"]),
        valid_from=row["valid_from"],
        valid_until=row["valid_until"],
        name=row["name"],
        email=row["email"],
        language=row["language"],
        created_at=row["listed_at"],
        account_id=row["account_id"],
        accepted_at=row["accepted_at"],
        version=row["version"],
        import_source=row["import_source"],
        external_ref=row["external_ref"],
    )


def member_event(member: Member, seq: int) -> wire.MemberChanged:
    """Return what the bus is told of a member."""
    row = member_row(member)
    told = {name: row[name] for name in wire.MemberChanged.model_fields if name in row}
    return wire.MemberChanged(**told, seq=seq)
