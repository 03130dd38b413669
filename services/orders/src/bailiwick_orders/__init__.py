"""orders: what customers buy, who wrote it down, and who may see it."""
