"""English, as written in Europe: days before months, and a clock of 24 hours."""

from __future__ import annotations

from bailiwick_notifier.mail_templates.wording import Plural, Wording

WORDING = Wording(
    language="en",
    locale="en_GB",
    new_order_subject="New order {number} from {customer}: {total}",
    new_order_title="New order",
    digest_subject=Plural("{count} new order: {totals}", "{count} new orders: {totals}"),
    digest_title=Plural("{count} new order", "{count} new orders"),
    hello="Hello,",
    hello_named="Hello {name},",
    told_of_one="a new order has come in.",
    told_of_several="these orders have come in.",
    told_of_cancelled="a new order has come in, and has since been cancelled.",
    cancelled="cancelled",
    cancelled_orders=Plural("{count} cancelled", "{count} cancelled"),
    order="Order",
    placed="Placed",
    placed_by="By",
    source="Via",
    sources={
        "portal": "Online shop",
        "visit": "Visit",
        "phone": "Phone",
        "whatsapp": "WhatsApp",
        "import": "Import",
        "other": "Other",
    },
    note="Note",
    product="Product",
    net="Net",
    total="Total",
    lines=Plural("{count} line", "{count} lines"),
    more_lines=Plural("and 1 more line", "and {count} more lines"),
    more_orders=Plural("and 1 more order", "and {count} more orders"),
    discount="{percent} off",
    at_time="{day}, {time}",
    days="{first} – {last}",
    open_order="Open the order",
    why="You get this email because you receive notifications of new orders at {organization}. "
    "You can change that in your notification preferences.",
    colon=":",
)
