"""What a study takes: epochs, device time and money, before it runs and while it does."""
