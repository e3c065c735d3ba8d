"""The figures of the report: one file each, from the tables to a chart that any drawer can draw."""
