"""Libraries of networks, one file each: `NAME/MODEL` is a family by its name."""

# Each has `family_of(model)`, which imports neither the library nor torch: studies of such families
# can be read where neither is.
