"""Reports: what was sold, to whom, by whom, in the sight of who asks."""
