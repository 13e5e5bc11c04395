"""The rig codec: a reset leaves nothing of the last user, and a background stays behind others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avatar_forcing_ros.errors import MediaError
from avatar_forcing_ros.media import VideoFrame
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig.backdrop import load_backdrop
from avatar_forcing_ros.rig.coefficients import INDEX, vector
from avatar_forcing_ros.runtime.load import load_portrait
from avatar_forcing_ros.streaming.codec import RigCodec
from avatar_forcing_ros.timebase import FRAME_PERIOD_NS


def test_a_reset_leaves_nothing_of_the_last_user() -> None:
    codec = RigCodec(load_portrait(None, 256), FaceMeshTracker)
    poses = [vector(head_yaw=0.02 * i, jaw_open=0.05 * i) for i in range(8)]
    frames = [
        VideoFrame(pixels, i * FRAME_PERIOD_NS)
        for i, pixels in enumerate(codec.decode(np.stack(poses)))
    ]
    runs = []
    for _ in range(2):
        runs.append(np.stack([codec.encode_user(frame).values for frame in frames]))
        codec.reset()
    codec.close()
    assert runs[0].tobytes() == runs[1].tobytes()
    assert runs[0][-1, INDEX["head_yaw"]] > runs[0][0, INDEX["head_yaw"]] + 0.05


def test_another_face_keeps_the_background() -> None:
    ada, ben = (load_portrait(shipped(f"models/portraits/{n}.png"), 128) for n in ("ada", "ben"))
    codec = RigCodec(ada, backdrop=load_backdrop("#ff00ff", 128))
    faces = []
    for portrait in (ada, ben):
        codec.prepare_portrait(portrait)
        (image,) = codec.decode(vector()[None])
        assert image.shape == (128, 128, 3)
        assert (image[:20, :20] == (255, 0, 255)).all()
        faces.append(image)
    assert np.abs(faces[0].astype(int) - faces[1]).mean() > 5
    nobody = replace(ada, matte=np.ones((128, 128), np.float32))
    with pytest.raises(MediaError, match="stands out"):
        codec.prepare_portrait(nobody)
    assert codec.portrait is ben
    assert (codec.decode(vector()[None])[0] == faces[1]).all()


def test_without_a_backdrop_images_are_what_they_were() -> None:
    portrait = load_portrait(None, 128)
    values = vector(head_yaw=0.3, jaw_open=0.5, blink_left=1.0)
    plain, chosen = RigCodec(portrait), RigCodec(portrait, None, load_backdrop("portrait", 128))
    assert not chosen.has_alpha
    assert plain.decode(values[None]).tobytes() == chosen.decode(values[None]).tobytes()
    assert (chosen.decode(vector()[None])[0][:20, :20] == portrait.image[:20, :20]).all()


def test_nothing_behind_gives_alpha() -> None:
    codec = RigCodec(load_portrait(None, 128), backdrop=load_backdrop("transparent", 128))
    assert codec.has_alpha
    for images in (codec.decode(vector()[None]), np.stack(list(codec.drawn(vector()[None])))):
        assert images.shape == (1, 128, 128, 4)
        assert images[0, 0, 0, 3] == 0
        assert images[0, 64, 64, 3] == 255
