"""Libraries of networks, one file each: `NAME/MODEL` is a family by its name."""

# Each has `MODEL`, which makes a `LibraryModel` of a name. None imports its library or torch at the
# top: studies of such families can be read where neither is.
