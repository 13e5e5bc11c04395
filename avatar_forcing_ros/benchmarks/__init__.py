"""What ``avatar-forcing benchmark`` runs."""
