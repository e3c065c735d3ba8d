"""The command `report`: one offline page, and the same figures for a paper."""
