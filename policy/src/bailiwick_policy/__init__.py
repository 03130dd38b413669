"""The bundle of our rules, as images, chart, launcher and tests are given it. The standard library alone."""
