"""Where organizations, members, accounts and sessions rest: tables, repositories, queries, migrations."""
