"""Servers, fakes and builders for tests; never in an image."""
