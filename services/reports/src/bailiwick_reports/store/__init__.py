"""Where figures rest."""
