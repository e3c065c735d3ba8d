"""The settings of a study, their sources, the flags, and the searches that follow from them."""
