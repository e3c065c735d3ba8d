"""The command `status`: how a study stands, from its files alone."""
