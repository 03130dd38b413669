"""The whole stack on one machine: servers found or installed, services started, everything ended."""
