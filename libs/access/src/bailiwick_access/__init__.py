"""Who calls, what they may do, and what of it a query may read: the same in every service (ADR 3)."""
