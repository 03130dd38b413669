"""HTTP as all services speak it: the application, bodies late, errors, pages, tags, positions."""
