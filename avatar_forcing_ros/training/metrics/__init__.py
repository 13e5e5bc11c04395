"""What is measured on generated motion: pure functions of it, of the truth and of the user."""
