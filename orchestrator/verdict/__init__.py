"""The command `verdict`: is one model really better, from predictions that anything has made."""
