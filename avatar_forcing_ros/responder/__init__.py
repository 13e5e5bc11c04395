"""An avatar that answers: what the user says becomes text, an answer, speech."""
