"""Learning: the conversations that the project makes, and the generator trained on them."""
