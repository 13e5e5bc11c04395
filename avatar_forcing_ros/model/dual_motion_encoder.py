"""The user's motion and audio, and the avatar's audio, as one condition per frame.

The user's motion attends to the user's audio, then the avatar's audio to the user (paper, 3.2).
The paper's attention has no positions and is unmasked over the frames that are given together. A
mask may say otherwise (training's does, so that a clip is seen in pieces, as a stream is), and
with `ages` each head learns how much what is how old concerns it (as in T5, arXiv 1910.10683).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

NEWEST_FRAMES, OLDEST_FRAMES = -9, 40
"""Ages that are distinguished; beyond them the nearest counts. A frame of the same block may be as
much newer as a block is long."""


class DualMotionEncoder(nn.Module):
    """User audio, user motion and avatar audio to a condition ``[B, T, H]``."""

    def __init__(
        self, motion_dim: int, audio_dim: int, hidden_dim: int, heads: int, ages: bool = False
    ) -> None:
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
        count = OLDEST_FRAMES - NEWEST_FRAMES + 1
        self.age_bias = nn.Parameter(torch.zeros(2, heads, count)) if ages else None

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
        motion = self.motion_embedder(user_motion)  # [B, T, A]
        attended, _ = self.dual_modal_attn(
            motion,
            user_audio,
            user_audio,
            need_weights=False,
            attn_mask=self._bias(0, motion, mask),
        )
        user = functional.silu(self.ln1(motion + attended))
        seen, _ = self.user_agent_attn(
            avatar_audio, user, user, need_weights=False, attn_mask=self._bias(1, user, mask)
        )
        both = functional.silu(self.ln2(avatar_audio + seen))
        return self.to_cond_user(both)  # [B, T, H]

    def _bias(self, which: int, like: Tensor, mask: Tensor | None) -> Tensor | None:
        """What is added to attention `which`, ``[B heads, T, T]``, or what it may not see."""
        if self.age_bias is None:
            return None if mask is None else ~mask  # this layer's masks say what is not seen
        batch, frames = like.shape[:2]
        frame = torch.arange(frames, device=like.device)
        age = (frame[:, None] - frame[None, :]).clamp(NEWEST_FRAMES, OLDEST_FRAMES)
        bias = self.age_bias[which][:, age - NEWEST_FRAMES]  # [heads, T, T]
        if mask is not None:
            bias = bias.masked_fill(~mask, float("-inf"))
        return bias.to(like.dtype).repeat(batch, 1, 1)
