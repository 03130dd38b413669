"""What tests read and measure: plans, locks, spans, metrics, files."""
