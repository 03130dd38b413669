"""What reports needs to be told: nothing beyond what every service does."""

from bailiwick_kit.settings import ServiceSettings


class Settings(ServiceSettings):
    """The settings of reports."""
