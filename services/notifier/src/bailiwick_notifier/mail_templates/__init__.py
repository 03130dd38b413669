"""Letters: new orders in words, in the recipient's language, as plain text and as HTML."""

from bailiwick_notifier.mail_templates.writer import digest as digest
from bailiwick_notifier.mail_templates.writer import new_order as new_order
