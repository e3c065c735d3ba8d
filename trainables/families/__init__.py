"""Model families, one file each; every module here with a FAMILY is listed by the registry."""
