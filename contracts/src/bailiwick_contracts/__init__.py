"""What Bailiwick promises to others: events, reason codes, the policy's input."""
