"""The command `retrain`: one stored trial trained again, and its curve compared."""
