"""The command `export`: winners with model cards, the search as a journal, tables as CSV."""
