"""Writes letters: in the recipient's language, in the organization's time, as plain text and as HTML."""

from __future__ import annotations

from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from bailiwick_notifier.domain.letter import Addressee, Letter, one_line
from bailiwick_notifier.domain.order import NewOrder
from bailiwick_notifier.mail_templates import en, es, fr
from bailiwick_notifier.mail_templates.figures import Figures
from bailiwick_notifier.mail_templates.pages import Page, Setting, digest_page, new_order_page
from bailiwick_notifier.mail_templates.wording import Wording

LANGUAGES = {words.WORDING.language: words.WORDING for words in (en, es, fr)}
"""Those that letters are written in; who asks for another gets English."""
_TEMPLATES = Environment(
    loader=PackageLoader("bailiwick_notifier.mail_templates"),
    autoescape=select_autoescape(disabled_extensions=("txt",), default=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


def new_order(order: NewOrder, addressee: Addressee) -> Letter:
    """Return the letter about one new order."""
    setting = _setting(addressee)
    return _letter(new_order_page(order, setting), setting.wording)


def digest(orders: Sequence[NewOrder], addressee: Addressee) -> Letter:
    """Return the letter about a day's new orders, of which there is at least one."""
    setting = _setting(addressee)
    return _letter(digest_page(orders, setting), setting.wording)


def _letter(page: Page, words: Wording) -> Letter:
    text, html = (
        _TEMPLATES.get_template(f"letter.{kind}").render(page=page, words=words)
        for kind in ("txt", "html")
    )
    return Letter(subject=one_line(page.subject), text=text, html=html)


def _setting(addressee: Addressee) -> Setting:
    spoken = addressee.language.replace("_", "-").partition("-")[0].lower()
    wording = LANGUAGES.get(spoken, LANGUAGES["en"])
    return Setting(
        wording=wording,
        figures=Figures(wording, addressee.time_zone),
        recipient=one_line(addressee.name),
        organization=one_line(addressee.organization_name),
        public_url=addressee.public_url,
    )
