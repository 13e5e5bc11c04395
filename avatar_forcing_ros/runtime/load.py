"""From a configuration to weights, portraits and a ready session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import threadpoolctl
import torch
from numpy.typing import NDArray

from avatar_forcing_ros.config import PRESETS, AvatarConfig
from avatar_forcing_ros.errors import CheckpointError, ConfigError, MediaError
from avatar_forcing_ros.model.checkpoint import Checkpoint, load_checkpoint
from avatar_forcing_ros.model.kernel_fusion import can_fuse, fuse_chains
from avatar_forcing_ros.model.motion_autoencoder import channels_last
from avatar_forcing_ros.model.precision import use_exact_float32
from avatar_forcing_ros.model.released import load_released
from avatar_forcing_ros.perception.face_crop import crop_portrait
from avatar_forcing_ros.perception.face_tracker import FaceMeshTracker
from avatar_forcing_ros.perception.find_face import find_face
from avatar_forcing_ros.perception.person_matte import person_matte
from avatar_forcing_ros.resources import shipped
from avatar_forcing_ros.rig import coefficients
from avatar_forcing_ros.rig.backdrop import load_backdrop
from avatar_forcing_ros.rig.image_files import MAX_PIXELS, load_image
from avatar_forcing_ros.rig.landmark_files import load_landmark_file
from avatar_forcing_ros.rig.photo_scale import fit_photo
from avatar_forcing_ros.rig.portrait import Portrait, frame_portrait
from avatar_forcing_ros.runtime.device_probe import usable_cuda
from avatar_forcing_ros.runtime.session import Session
from avatar_forcing_ros.streaming.codec import MotionCodec, RigCodec
from avatar_forcing_ros.streaming.cuda_graphs import Work, directly, recorded
from avatar_forcing_ros.streaming.engine import MotionEngine
from avatar_forcing_ros.streaming.latent_codec import LatentCodec

SHIPPED_PRESET = "compact"
DEFAULT_PORTRAIT = "models/portraits/ada.png"
LANDMARK_SUFFIX = ".landmarks.json"
MATTE_SUFFIX = ".matte.png"


def build_session(
    config: AvatarConfig,
    *,
    landmarks: Path | None = None,
    user_audio: bool = True,
    user_video: bool = True,
) -> Session:
    """A session ready for its first block; the face tracker is made only for a user's video."""
    avatar = load_avatar(config)
    codec = make_codec(config, avatar, face_of(config, avatar, landmarks), user_video=user_video)
    return Session(
        make_engine(config, avatar), codec, user_audio=user_audio, user_video=user_video
    )


def make_engine(config: AvatarConfig, avatar: Checkpoint) -> MotionEngine:
    """An engine on the networks that `load_avatar` has given."""
    return MotionEngine(
        avatar.generator, config.sampling, anchor=config.anchor, record=recording_of(config)
    )


def face_of(config: AvatarConfig, avatar: Checkpoint, landmarks: Path | None = None) -> Portrait:
    """The face of `config`'s portrait at the size that these networks draw."""
    net = avatar.motion_autoencoder
    size_px = net.config.image_size_px if net else config.image_size_px
    return load_face(config, size_px, landmarks)


def make_codec(
    config: AvatarConfig,
    avatar: Checkpoint,
    face: Portrait,
    *,
    user_video: bool = True,
    record: Callable[[Work], Work] | None = None,
) -> MotionCodec:
    """A codec that draws `face` (a second or so), and tracks a user's, for one conversation.

    `record` instead of `recording_of` may have recordings made that several codecs use.
    """
    tracker = partial(FaceMeshTracker, model_path=config.face_landmarker) if user_video else None
    if avatar.motion_autoencoder:
        return LatentCodec(
            avatar.motion_autoencoder, face, tracker, record=record or recording_of(config)
        )
    return RigCodec(face, tracker, load_backdrop(config.background, face.size_px))


def recording_of(config: AvatarConfig) -> Callable[[Work], Work]:
    """What wraps numeric work: recorded on a GPU, as it is elsewhere."""
    return recorded if device_of(config).startswith("cuda") else directly


def load_avatar(config: AvatarConfig) -> Checkpoint:
    """The networks of `config`'s preset, ready to run; sets torch's and BLAS' number of threads.

    The small matrices of face tracking gain nothing from more, and BLAS' threads wait for the next
    one by spinning: that alone took two thirds of a core.

    Weights are a checkpoint file or, for the paper preset, a folder of the released files. Raises
    CheckpointError, also for weights of another preset, and ConfigError for a device that is not
    there.
    """
    device, dtype = device_of(config), dtype_of(config)
    _check_device(device)
    path = _weights(config)
    checkpoint = load_released(path) if path.is_dir() else load_checkpoint(path)
    _check_preset(checkpoint, config.preset, path)
    torch.set_num_threads(config.cpu_threads)
    threadpoolctl.threadpool_limits(config.cpu_threads, user_api="blas")
    if dtype is torch.float32:
        use_exact_float32()
    try:
        checkpoint.generator.to(device, dtype)
        if checkpoint.motion_autoencoder:
            checkpoint.motion_autoencoder.to(device, autoencoder_dtype_of(config))
            if device.startswith("cuda"):
                channels_last(checkpoint.motion_autoencoder)
            _fuse_kernels(config)
    except (RuntimeError, AssertionError) as error:
        raise ConfigError(
            f"device '{device}'",
            expected="room for the networks",
            got=str(error).splitlines()[0],
            remedy="free memory there, or choose another device or --precision bfloat16",
        ) from error
    return checkpoint


def _fuse_kernels(config: AvatarConfig) -> None:
    """Compile chains of small operations where that is asked for and can be done."""
    on_gpu = device_of(config).startswith("cuda")
    if config.fuse_kernels and not (on_gpu and can_fuse()):
        raise ConfigError(
            "fuse_kernels",
            expected="a CUDA device and Triton",
            got="none" if on_gpu else f"device '{device_of(config)}'",
            remedy="leave fuse_kernels off" + (", or pip install triton" if on_gpu else ""),
        )
    fuse_chains(fused=config.fuse_kernels)


def _check_device(device: str) -> None:
    """Raises ConfigError for one that is not there."""
    try:
        there = torch.device(device).type in ("cpu", "cuda")
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError):
        there = False
    if not there:
        raise ConfigError(
            "device",
            expected="'auto', 'cpu'" + (" or 'cuda'" if torch.cuda.is_available() else ""),
            got=f"'{device}'",
            remedy="choose one that this machine and this build of torch have",
        )


def device_of(config: AvatarConfig) -> str:
    """Where `config` runs; auto is a GPU only where that was seen to compute."""
    if config.device != "auto":
        return config.device
    return "cuda" if _is_latent(config) and usable_cuda() else "cpu"


def dtype_of(config: AvatarConfig) -> torch.dtype:
    """The type of weights and activations of all networks but the motion autoencoder."""
    on_gpu = device_of(config).startswith("cuda")
    half = config.precision == "auto" and on_gpu and _is_latent(config)
    return torch.bfloat16 if half or config.precision == "bfloat16" else torch.float32


def autoencoder_dtype_of(config: AvatarConfig) -> torch.dtype:
    """The type of the motion autoencoder's.

    bfloat16's 8 bits move its flows by pixels, and slow motion shimmers; its numbers stay within
    float16's range, whose 11 bits leave a fraction of that.
    """
    dtype = dtype_of(config)
    on_gpu = device_of(config).startswith("cuda")
    return torch.float16 if on_gpu and dtype is torch.bfloat16 else dtype


def _is_latent(config: AvatarConfig) -> bool:
    return PRESETS[config.preset].model.motion_space == "latent"


def _weights(config: AvatarConfig) -> Path:
    if config.weights:
        path = Path(config.weights)
        if path.suffix == ".pth":
            raise CheckpointError(
                f"weights {path}",
                expected="the folder with all released files, or one converted file",
                got="one of the released files",
                remedy=f"give its folder: --weights {path.parent}",
            )
        if not path.exists():
            raise CheckpointError(
                "weights",
                expected="a .safetensors file, or a folder of released files",
                got=f"nothing at {path}",
                remedy="check the path, or leave it out to use the weights that ship"
                if config.preset == SHIPPED_PRESET
                else "check the path",
            )
        return path
    if config.preset == SHIPPED_PRESET:
        return shipped(f"models/{config.preset}/generator.safetensors")
    raise CheckpointError(
        f"weights of preset '{config.preset}'",
        expected="a folder with the authors' released files, or a file converted from them",
        got="none: they may not be shipped (CC BY-NC 4.0)",
        remedy="get them with 'avatar-forcing weights fetch DIR', then give DIR by --weights, or "
        "by the node's parameter 'weights'",
    )


def _check_preset(checkpoint: Checkpoint, preset: str, path: Path) -> None:
    model = checkpoint.generator.config
    wanted = PRESETS[preset].model.motion_space
    if wanted == "rig":
        expected = f"motion of {coefficients.COUNT} rig coefficients"
        fits = model.motion_dim == coefficients.COUNT
    else:
        expected = "a latent motion space with its autoencoder"
        fits = checkpoint.motion_autoencoder is not None
    if model.motion_space != wanted or not fits:
        autoencoder = ", with autoencoder" if checkpoint.motion_autoencoder else ""
        raise CheckpointError(
            f"weights {path}",
            expected=expected,
            got=f"{model.motion_space} motion of width {model.motion_dim}{autoencoder}",
            remedy=f"give weights of the preset '{preset}', or choose their preset",
        )


def load_face(config: AvatarConfig, size_px: int, landmarks: Path | None = None) -> Portrait:
    """The face of `config`'s portrait, framed for its preset; raises as `load_portrait` does."""
    path = Path(config.portrait) if config.portrait else None
    load = load_face_square if _is_latent(config) else load_portrait
    return load(path, size_px, landmarks, config.face_landmarker)


def load_portrait(
    path: Path | None, size_px: int, landmarks: Path | None = None, face_landmarker: str = ""
) -> Portrait:
    """The face in the image at `path` (the shipped one if None), framed for the renderer.

    Landmarks come from the file `landmarks`, or from ``NAME.landmarks.json`` beside the image,
    or are found in the image, with the model file `face_landmarker` if that is named. Raises
    MediaError, or FaceNotFoundError where there is no face.
    """
    image, points = _image_and_face(path, landmarks, face_landmarker)
    matte = _matte_beside(path, image)
    if matte is not None:  # it is turned and scaled as the image is
        image = np.dstack([image, matte])
    image, points = fit_photo(image, points, size_px)
    matte = None if matte is None else np.ascontiguousarray(image[..., 3])
    image = np.ascontiguousarray(image[..., :3])
    return _with_matte(frame_portrait(image, points, size_px, matte))


def load_face_square(
    path: Path | None, size_px: int, landmarks: Path | None = None, face_landmarker: str = ""
) -> Portrait:
    """The same face as the latent motion space was trained to see it; raises the same."""
    image, points = _image_and_face(path, landmarks, face_landmarker)
    return crop_portrait(*fit_photo(image, points, size_px), size_px)


def portrait_from_image(image: NDArray[np.uint8], config: AvatarConfig, size_px: int) -> Portrait:
    """The face in `image` ``[H, W, 3]`` RGB as a portrait for `config`'s preset.

    Raises FaceNotFoundError, and MediaError for a face that cannot be used.
    """
    image, points = fit_photo(image, find_face(image, model_path=config.face_landmarker), size_px)
    if _is_latent(config):
        return crop_portrait(image, points, size_px)
    return _with_matte(frame_portrait(image, points, size_px))


def _with_matte(portrait: Portrait) -> Portrait:
    """`portrait`, cut out by a segmentation model where it is not yet and there is one."""
    if portrait.matte is not None:
        return portrait
    return replace(portrait, matte=person_matte(portrait.image))


def _matte_beside(path: Path | None, image: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """The matte ``[H, W]`` in the file beside `image` ``[H, W, 3]``, None where there is none."""
    file = (path or shipped(DEFAULT_PORTRAIT)).with_suffix(MATTE_SUFFIX)
    if not file.exists():
        return None
    matte = load_image(file)[..., 0]
    if matte.shape != image.shape[:2]:
        raise MediaError(
            f"matte {file}",
            expected=f"one of an image of {image.shape[1]} x {image.shape[0]} pixels",
            got=f"{matte.shape[1]} x {matte.shape[0]}",
            remedy="remove the file to have the person found again",
        )
    return matte


def _image_and_face(
    path: Path | None, landmarks: Path | None, face_landmarker: str
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Image ``[H, W, 3]`` and landmarks ``[478, 3]`` px."""
    path = path or shipped(DEFAULT_PORTRAIT)
    image = load_image(path)
    beside = path.with_suffix(LANDMARK_SUFFIX)
    file = landmarks or (beside if beside.exists() else None)
    if file is None:
        return image, find_face(image, model_path=face_landmarker)
    points, size = load_landmark_file(file)
    return image, _of_this_image(points, size, image, file)


def _of_this_image(
    points: NDArray[np.float32], size: tuple[int, int], image: NDArray[np.uint8], file: Path
) -> NDArray[np.float32]:
    """`points` of an image of `size` in `image`, which may have been halved on reading."""
    height, width = image.shape[:2]
    scale = width / size[0]
    if size == (width, height):
        return points
    if size[0] * size[1] > MAX_PIXELS and scale < 1.0 and abs(height - scale * size[1]) <= 1.0:
        half = np.array([0.5, 0.5, 0.0], np.float32)  # pixel centres
        return (points + half) * np.float32(scale) - half
    raise MediaError(
        f"landmarks {file}",
        expected=f"those of an image of {width} x {height} pixels",
        got=f"{size[0]} x {size[1]}",
        remedy="remove the file to have the face found again",
    )
