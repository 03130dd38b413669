"""The HTTP surface of customers: routes and their models; no SQL, no rules."""
