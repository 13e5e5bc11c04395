"""Who sees whom where motion comes in blocks: masks over the frames of a clip.

Rows are frames that look, columns frames that are seen. Block k of N frames is frames k N to
(k + 1) N of the conversation; a clip may begin inside a block.
"""

from __future__ import annotations

import torch
from torch import Tensor


def block_span(
    frames: int, block_frames: int, first_in_block: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """First and one past the last frame of each frame's block: ``[T]`` each.

    `first_in_block` is the place of the clip's first frame in its block.
    """
    frame = torch.arange(frames, device=device)
    start = frame - (frame + first_in_block) % block_frames
    return start, start + block_frames


def condition_mask(
    frames: int,
    block_frames: int,
    history_frames: int,
    device: torch.device,
    first_in_block: int = 0,
) -> Tensor:
    """Which conditions a frame sees when streaming: bool ``[T, T]``.

    Those of its own block and of the history before it. Seeing a whole clip at once, as the paper
    trains, would show the future.
    """
    start, stop = block_span(frames, block_frames, first_in_block, device)
    seen = torch.arange(frames, device=device)
    return (seen >= (start - history_frames)[:, None]) & (seen < stop[:, None])


def parallel_masks(
    frames: int, block_frames: int, look_ahead_frames: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Masks for a clip twice in a row, clean and noisy: bool ``[2 T, 2 T]`` and ``[2 T, T]``.

    Every noisy block sees itself and the clean blocks before it, every clean one itself and those
    before it, as in a stream whose blocks are causal. The second mask is for the conditions, of
    which there is one for each frame.
    """
    start, stop = block_span(frames, block_frames, 0, device)
    frame = torch.arange(frames, device=device)
    ahead = frame[None, :] <= frame[:, None] + look_ahead_frames  # [T, T]
    inside = (frame >= start[:, None]) & (frame < stop[:, None])
    before = frame < start[:, None]
    own = ahead & inside
    nothing = torch.zeros_like(own)
    clean = torch.cat((own | before, nothing), dim=1)  # [T, 2 T]
    noisy = torch.cat((before, own), dim=1)
    near = (frame[:, None] - frame[None, :]).abs() <= look_ahead_frames
    told = near & (frame < stop[:, None])  # [T, T]
    return torch.cat((clean, noisy)), torch.cat((told, told))
