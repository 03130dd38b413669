"""Where orders are kept: tables, statements, transactions."""
