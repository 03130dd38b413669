"""customers: who is a customer, on what terms, and whose portfolio they are in."""
