"""The report that people look at: one offline page, and the same figures for a paper."""
