"""Where notices and deliveries rest."""
