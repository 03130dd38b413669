"""Spanish."""

from __future__ import annotations

from bailiwick_notifier.mail_templates.wording import Plural, Wording

WORDING = Wording(
    language="es",
    locale="es",
    new_order_subject="Nuevo pedido {number} de {customer}: {total}",
    new_order_title="Nuevo pedido",
    digest_subject=Plural("{count} pedido nuevo: {totals}", "{count} pedidos nuevos: {totals}"),
    digest_title=Plural("{count} pedido nuevo", "{count} pedidos nuevos"),
    hello="Hola:",
    hello_named="Hola, {name}:",
    told_of_one="ha entrado un pedido nuevo.",
    told_of_several="han entrado estos pedidos.",
    told_of_cancelled="ha entrado un pedido nuevo, que después se ha cancelado.",
    cancelled="cancelado",
    cancelled_orders=Plural("{count} cancelado", "{count} cancelados"),
    order="Pedido",
    placed="Fecha",
    placed_by="Hecho por",
    source="Origen",
    sources={
        "portal": "Tienda en línea",
        "visit": "Visita",
        "phone": "Teléfono",
        "whatsapp": "WhatsApp",
        "import": "Importación",
        "other": "Otro",
    },
    note="Nota",
    product="Producto",
    net="Neto",
    total="Total",
    lines=Plural("{count} línea", "{count} líneas"),
    more_lines=Plural("y 1 línea más", "y {count} líneas más"),
    more_orders=Plural("y 1 pedido más", "y {count} pedidos más"),
    discount="{percent} dto.",
    at_time="{day}, {time}",
    days="{first} – {last}",
    open_order="Abrir el pedido",
    why="Recibes este correo porque se te avisa de los pedidos nuevos de {organization}. "
    "Puedes cambiarlo en tus preferencias de avisos.",
    colon=":",
)
