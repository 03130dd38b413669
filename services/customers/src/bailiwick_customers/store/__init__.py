"""Where customers rest: tables, repositories, queries, migrations."""
