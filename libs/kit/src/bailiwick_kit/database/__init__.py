"""PostgreSQL: connections and transactions, migrations, the audit trail."""
