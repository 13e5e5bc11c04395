"""Two-person conversations from a seed: speech, phoneme times and the motion of both faces."""

from avatar_forcing_ros.training.synthetic.conversation import (
    Conversation,
    generate_conversation,
    generate_listener,
)

__all__ = ["Conversation", "generate_conversation", "generate_listener"]
