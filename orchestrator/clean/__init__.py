"""The command `clean`: what a study needs no more, removed."""
