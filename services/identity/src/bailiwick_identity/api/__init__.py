"""The ways into identity: routes and their models, and the records of an import; no SQL, no rules."""
