"""Two-person conversations from a seed: speech, phoneme times and the motion of both faces."""

from avatar_forcing_ros.training.synthetic.conversation import Conversation, generate_conversation
from avatar_forcing_ros.training.synthetic.dataset import describe

__all__ = ["Conversation", "describe", "generate_conversation"]
