"""What the user does and says, and what the avatar says, as one condition per frame.

The user's motion asks the user's sound, then the avatar's sound asks the user (paper, 3.2).
The attention has no positions and is unmasked over the frames that are given together, unless a
mask says otherwise (training's does, so that a clip is seen in pieces, as a stream is).
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


class DualMotionEncoder(nn.Module):
    """User audio, user motion and avatar audio to a condition ``[B, T, H]``."""

    def __init__(self, motion_dim: int, audio_dim: int, hidden_dim: int, heads: int) -> None:
        super().__init__()
        self.motion_embedder = nn.Sequential(
            nn.Linear(motion_dim, audio_dim),
            nn.LayerNorm(audio_dim),
            nn.SiLU(),
            nn.Linear(audio_dim, audio_dim),
            nn.LayerNorm(audio_dim),
            nn.SiLU(),
        )
        self.dual_modal_attn = nn.MultiheadAttention(audio_dim, heads, batch_first=True)
        self.ln1 = nn.LayerNorm(audio_dim)
        self.user_agent_attn = nn.MultiheadAttention(audio_dim, heads, batch_first=True)
        self.ln2 = nn.LayerNorm(audio_dim)
        self.to_cond_user = nn.Linear(audio_dim, hidden_dim)

    def forward(
        self,
        user_audio: Tensor,
        user_motion: Tensor,
        avatar_audio: Tensor,
        mask: Tensor | None = None,
    ) -> Tensor:
        """`user_audio`, `avatar_audio` ``[B, T, A]``, `user_motion` ``[B, T, D]``.

        A condition that is dropped is all zeros. `mask` ``[T, T]`` is True where a frame (row)
        may see another (column).
        """
        hidden = None if mask is None else ~mask  # this layer's masks say what is not seen
        motion = self.motion_embedder(user_motion)  # [B, T, A]
        heard, _ = self.dual_modal_attn(
            motion, user_audio, user_audio, need_weights=False, attn_mask=hidden
        )
        user = functional.silu(self.ln1(motion + heard))
        seen, _ = self.user_agent_attn(
            avatar_audio, user, user, need_weights=False, attn_mask=hidden
        )
        both = functional.silu(self.ln2(avatar_audio + seen))
        return self.to_cond_user(both)  # [B, T, H]
