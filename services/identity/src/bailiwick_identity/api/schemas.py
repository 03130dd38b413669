"""What goes over the wire about organizations and members, and how it becomes the domain's."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field

from bailiwick_identity.domain.account import Membership
from bailiwick_identity.domain.grants import Grants, Mode, Permission, Role, Tick, granted
from bailiwick_identity.domain.member import Filters, Member, NewMember, Standing, standing
from bailiwick_identity.domain.organization import Organization
from bailiwick_kit.text.strings import Text, TextRule
from bailiwick_kit.web.fields import Edit, Instant, Model
from bailiwick_kit.web.pages import PageQuery

Status = Literal["invited", "active", "inactive", "expired"]
KindName = Literal["member", "service"]
Language = Literal["es", "en", "fr"]


def normalized_email(value: str) -> str:
    """Return the address as accounts are told apart by: nobody has two in one mailbox's spellings.

    Raises:
        ValueError: it is no address.
    """
    try:
        return validate_email(value, check_deliverability=False).normalized.lower()
    except EmailNotValidError as error:
        raise ValueError(str(error)) from None


Email = Annotated[str, TextRule(max_length=254), AfterValidator(normalized_email)]
Password = Annotated[str, Field(min_length=1, max_length=1024, repr=False)]
Column = Annotated[str, TextRule(max_length=40)]
Permissions = Annotated[tuple[Permission, ...], Field(max_length=20, fail_fast=True)]
Ticks = Annotated[dict[Column, Tick], Field(max_length=20)]
Collections = Annotated[tuple[UUID, ...], Field(max_length=200, fail_fast=True)]


class NewMemberBody(Model):
    """A member to create: with one `role`, or with `permissions`.

    Where the email has an account already, the password is discarded, and its owner accepts the
    membership once signed in; the answer is the same.
    """

    name: Text
    email: Email
    password: Password
    mode: Mode | None = None
    """Left out: role where a role is named, else permissions."""
    role: Role | None = None
    permissions: Permissions | None = None
    ticks: Ticks = Field(default_factory=dict)
    collections: Collections = ()
    language: Language = "en"
    valid_from: Instant | None = None
    valid_until: Instant | None = None

    def command(self) -> NewMember:
        """Return what the action takes.

        Raises:
            Invalid: the grants do not go together.
        """
        named = Mode.ROLE if self.role or self.permissions is None else Mode.PERMISSIONS
        return NewMember(
            name=self.name,
            email=self.email,
            password=self.password,
            grants=granted(
                mode=self.mode or named,
                role=self.role,
                permissions=frozenset(self.permissions or ()),
                ticks=self.ticks,
                collections=self.collections,
            ),
            language=self.language,
            valid_from=self.valid_from,
            valid_until=self.valid_until,
        )


class MemberEdit(Edit):
    """Fields to change; what is not sent stays as it is.

    Another role starts from no ticks and no collections. Leaving a role for permissions takes
    `mode`. `valid_until` null opens the end.
    """

    name: Text = ""
    language: Language = "en"
    mode: Mode = Mode.ROLE
    role: Role | None = None
    permissions: Permissions = ()
    ticks: Ticks = Field(default_factory=dict)
    collections: Collections = ()
    valid_until: Instant | None = None

    def changes(self) -> dict[str, Any]:
        """Return the fields that were sent, as the domain has them."""
        sent = {name: getattr(self, name) for name in self.model_fields_set}
        if "permissions" in sent:
            sent["permissions"] = frozenset(self.permissions)
        return sent


class NewServiceAccountBody(Model):
    """A storefront to create."""

    name: Text


class MemberFilters(PageQuery):
    """What a list of members is narrowed by."""

    status: Status | None = None
    kind: KindName | None = None
    text: Text | None = Field(
        default=None, description="Beginnings of words of the name or the email, in any order"
    )

    def filters(self) -> Filters:
        """Return what the query takes."""
        status = None if self.status is None else Standing(self.status)
        return Filters(status, self.kind, self.text)


class GrantsBody(Model):
    """What a membership grants."""

    mode: Mode
    role: Role | None
    permissions: tuple[Permission, ...]
    ticks: dict[str, Tick]
    collections: tuple[UUID, ...]


class CreatedMember(GrantsBody):
    """A member just created. It does not reveal whether the email has an account (D3)."""

    member_id: UUID
    kind: KindName
    name: str
    email: str | None
    language: Language
    valid_from: datetime
    valid_until: datetime
    created_at: datetime
    version: int


class MemberBody(CreatedMember):
    """A member, or a service account."""

    status: Status = Field(description="`expired` from `valid_until` on")


class CreatedServiceAccount(Model):
    """A service account with its secret, which is shown this once: keep it."""

    member_id: UUID
    name: str
    client_id: UUID
    client_secret: str | None = Field(
        description="Null where this repeats a request that was answered: create another account"
    )
    version: int


class SettingsBody(Model):
    """How the organization works."""

    assignment_model: Literal["main_plus_additional", "single"]
    creator_keeps_access: bool
    rep_customers_need_approval: bool
    author_keeps_order_view: bool
    additional_full_rights: bool
    notify_additional: bool


class SettingsEdit(Edit):
    """Settings to change; what is not sent stays as it is."""

    assignment_model: Literal["main_plus_additional", "single"] = "main_plus_additional"
    creator_keeps_access: bool = False
    rep_customers_need_approval: bool = False
    author_keeps_order_view: bool = True
    additional_full_rights: bool = False
    notify_additional: bool = False


class OrganizationEdit(Edit):
    """What of the organization to change; what is not sent stays as it is."""

    name: Text = ""
    settings: SettingsEdit = SettingsEdit()

    def changes(self) -> dict[str, Any]:
        """Return what was sent."""
        sent: dict[str, Any] = {}
        if "name" in self.model_fields_set:
            sent["name"] = self.name
        if "settings" in self.model_fields_set:
            fields = self.settings.model_fields_set
            sent["settings"] = {name: getattr(self.settings, name) for name in fields}
        return sent


class OrganizationShort(Model):
    """An organization as all of its members may know it."""

    org_id: UUID
    name: str
    time_zone: str
    currency: str


class AdministrationBody(Model):
    """What only who administers the organization sees of it."""

    settings: SettingsBody
    package: str
    seat_limit: int | None
    seats_used: int


class OrganizationBody(OrganizationShort):
    """An organization. `administration` is null for who does not administer it."""

    administration: AdministrationBody | None
    version: int


class MeMember(GrantsBody):
    """The caller's own membership."""

    member_id: UUID
    kind: KindName
    name: str
    email: str | None
    language: Language
    status: Status
    valid_from: datetime
    valid_until: datetime
    version: int


class MeBody(Model):
    """Who the caller is, and where."""

    member: MeMember
    organization: OrganizationShort


class MembershipBody(Model):
    """One of the caller's own memberships, here or in another organization."""

    member_id: UUID
    org_id: UUID
    organization: str
    status: Status
    valid_until: datetime


class Memberships(Model):
    """All memberships of the caller's account."""

    items: tuple[MembershipBody, ...]


class TokenBody(Model):
    """What to call with (RFC 6749). Service accounts get no refresh token."""

    access_token: str
    token_type: Literal["Bearer"] = "Bearer"  # noqa: S105
    expires_in: int
    refresh_token: str | None = None
    device_token: str | None = Field(
        default=None,
        description="Keep it on the device, and send it when this person signs in there again",
    )


def _grants(grants: Grants) -> dict[str, Any]:
    return {
        "mode": grants.mode,
        "role": grants.role,
        "permissions": tuple(sorted(grants.permissions)),
        "ticks": dict(grants.ticks),
        "collections": grants.collections,
    }


def created_member(member: Member) -> CreatedMember:
    """Return a member just created, as it goes over the wire."""
    return CreatedMember(
        member_id=member.member_id,
        kind=member.kind.value,
        name=member.name,
        email=member.email,
        language=_language(member),
        valid_from=member.valid_from,
        valid_until=member.valid_until,
        created_at=member.created_at,
        version=member.version,
        **_grants(member.grants),
    )


def member_body(member: Member, now: datetime) -> MemberBody:
    """Return a member as it goes over the wire."""
    status = standing(member.status, member.valid_until, now)
    return MemberBody(**dict(created_member(member)), status=status.value)


def organization_short(organization: Organization) -> OrganizationShort:
    """Return an organization as all of its members may know it."""
    return OrganizationShort(
        org_id=organization.org_id,
        name=organization.name,
        time_zone=organization.time_zone,
        currency=organization.currency,
    )


def organization_body(organization: Organization, seats_used: int | None) -> OrganizationBody:
    """Return an organization; `seats_used` None: for who does not administer it."""
    administration = None
    if seats_used is not None:
        administration = AdministrationBody(
            settings=SettingsBody(**vars(organization.settings)),
            package=organization.package,
            seat_limit=organization.seat_limit,
            seats_used=seats_used,
        )
    return OrganizationBody(
        **dict(organization_short(organization)),
        administration=administration,
        version=organization.version,
    )


def me_body(member: Member, organization: Organization, now: datetime) -> MeBody:
    """Return who the caller is."""
    body = dict(member_body(member, now))
    return MeBody(
        member=MeMember(**{name: body[name] for name in MeMember.model_fields}),
        organization=organization_short(organization),
    )


def membership_body(membership: Membership, now: datetime) -> MembershipBody:
    """Return one of the caller's own memberships."""
    return MembershipBody(
        member_id=membership.member_id,
        org_id=membership.org_id,
        organization=membership.organization,
        status=standing(membership.status, membership.valid_until, now).value,
        valid_until=membership.valid_until,
    )


def _language(member: Member) -> Any:
    return member.language
