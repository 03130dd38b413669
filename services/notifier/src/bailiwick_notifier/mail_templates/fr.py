"""French."""

from __future__ import annotations

from bailiwick_notifier.mail_templates.wording import Plural, Wording

WORDING = Wording(
    language="fr",
    locale="fr",
    # "de" would have to be "d'" before a vowel.
    new_order_subject="Nouvelle commande {number} – {customer}\u00a0: {total}",
    new_order_title="Nouvelle commande",
    digest_subject=Plural(
        "{count} nouvelle commande\u00a0: {totals}", "{count} nouvelles commandes\u00a0: {totals}"
    ),
    digest_title=Plural("{count} nouvelle commande", "{count} nouvelles commandes"),
    hello="Bonjour,",
    hello_named="Bonjour {name},",
    told_of_one="une nouvelle commande est arrivée.",
    told_of_several="ces commandes sont arrivées.",
    told_of_cancelled="une nouvelle commande est arrivée, puis a été annulée.",
    cancelled="annulée",
    cancelled_orders=Plural("{count} annulée", "{count} annulées"),
    order="Commande",
    placed="Passée le",
    placed_by="Par",
    source="Origine",
    sources={
        "portal": "Boutique en ligne",
        "visit": "Visite",
        "phone": "Téléphone",
        "whatsapp": "WhatsApp",
        "import": "Importation",
        "other": "Autre",
    },
    note="Remarque",
    product="Article",
    net="Net",
    total="Total",
    lines=Plural("{count} ligne", "{count} lignes"),
    more_lines=Plural("et 1 autre ligne", "et {count} autres lignes"),
    more_orders=Plural("et 1 autre commande", "et {count} autres commandes"),
    discount="remise {percent}",
    at_time="{day}, {time}",
    days="{first} – {last}",
    open_order="Ouvrir la commande",
    why="Vous recevez cet e-mail parce que vous suivez les nouvelles commandes chez {organization}. "
    "Vous pouvez changer cela dans vos préférences de notification.",
    colon="\u00a0:",
)
