"""`./bailiwick import DIR --mapping FILE`: a company from CSV files, all of it or nothing (D27).

Everything is checked before anything is loaded; what is wrong is told as `file:line:column: message`.
Loading goes through each service's own `import`, and running it again changes nothing.
"""
