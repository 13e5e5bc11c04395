"""Released files: taken when whole, each kind of damage named, and never obeyed."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from conformance.fill import fill_deterministic
from released import (
    AUTOENCODER,
    NEW_SPELLING,
    OLD_SPELLING,
    SMALL_PAPER,
    SPEECH,
    TRANSFORMER,
    WEIGHT_NORM,
    Tensors,
    parameters,
    speech_folder,
    split,
    write_release,
)

from avatar_forcing_ros.errors import CheckpointError
from avatar_forcing_ros.model.checkpoint import (
    Checkpoint,
    Networks,
    load_checkpoint,
    save_checkpoint,
)
from avatar_forcing_ros.model.generator import MotionGenerator
from avatar_forcing_ros.model.motion_autoencoder import MotionAutoencoder
from avatar_forcing_ros.model.released import inspect_released, lacks_speech, load_released

Files = dict[str, Tensors]
MLP = "flow_transformer.t_embedder.mlp.2.bias"


def results(networks: Checkpoint | Networks) -> list[torch.Tensor]:
    """What each network makes of fixed inputs, every loaded and computed number included."""
    generator, autoencoder = networks[:2]
    assert autoencoder is not None
    noise = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(shape, generator=noise)

    with torch.no_grad():
        audio = generator.audio_encoder(draw(1, 640 * 6))
        net = generator.flow_transformer
        condition = net.embed_conditions(audio, draw(1, 6, 16), audio)
        velocity, _ = net(draw(1, 6, 16), torch.full((1, 6), 300.0), draw(1, 16), condition)
        appearance, motion = autoencoder.encode(draw(1, 3, 16, 16))
        return [audio, velocity, motion, autoencoder.decode(appearance, motion)]


@pytest.fixture
def release(tmp_path: Path) -> Path:
    return write_release(tmp_path / "release")


def load(folder: Path) -> Checkpoint:
    return load_released(folder, SMALL_PAPER)


def refusal(folder: Path) -> str:
    """Why the folder is not loaded; the inspection must report the same and not raise."""
    report = inspect_released(folder, SMALL_PAPER)
    assert not report.usable
    with pytest.raises(CheckpointError) as caught:
        load(folder)
    assert caught.value.got.startswith(report.sentences()[0])
    return "; ".join(report.sentences())


def test_the_release_gives_the_numbers_of_networks_filled_by_hand(release: Path) -> None:
    generator = MotionGenerator(SMALL_PAPER).eval()
    autoencoder = MotionAutoencoder(SMALL_PAPER.autoencoder, SMALL_PAPER.motion_dim).eval()
    fill_deterministic(generator.named_parameters())
    named = ((f"motion_autoencoder.{n}", p) for n, p in autoencoder.named_parameters())
    fill_deterministic(named)
    autoencoder.load_state_dict(autoencoder.state_dict())  # the directions follow their weight
    loaded = load(release)
    ours = results(loaded)
    assert all(r.abs().max() > 0 for r in ours)
    for mine, theirs in zip(ours, results(Networks(generator, autoencoder)), strict=True):
        assert torch.equal(mine, theirs)
    assert loaded.generator.config == SMALL_PAPER
    assert not any(p.requires_grad for p in loaded.generator.parameters())
    latent = torch.randn(3, 16)
    assert torch.equal(loaded.generator.normalise(latent), latent)


def test_released_to_converted_and_back_changes_no_bit(release: Path, tmp_path: Path) -> None:
    released = load(release)
    path = tmp_path / "one.safetensors"
    save_checkpoint(
        path, released.generator, released.origin, torch.float32, released.motion_autoencoder
    )
    stored = load_checkpoint(path)
    assert stored.origin == released.origin
    assert stored.motion_autoencoder is not None
    before = Networks(released.generator, released.motion_autoencoder).tensors()
    after = Networks(stored.generator, stored.motion_autoencoder).tensors()
    assert before.keys() == after.keys()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    for mine, theirs in zip(results(stored), results(released), strict=True):
        assert torch.equal(mine, theirs)


def test_the_origin_says_whose_they_are_and_which(release: Path) -> None:
    origin = load(release).origin
    assert origin["licence"] == "CC-BY-NC-4.0"
    assert sorted(origin["sources"]) == [TRANSFORMER, AUTOENCODER]
    size_bytes = (release / TRANSFORMER).stat().st_size
    assert origin["sources"][TRANSFORMER] == {"bytes": size_bytes}
    (release / "LICENSE").write_text("Their terms\n")
    assert inspect_released(release, SMALL_PAPER).licence == "Their terms"


def test_nothing_of_the_file_is_held_on_to(release: Path) -> None:
    """The file may be cut short while the networks run: they have copies."""
    loaded = load(release)
    before = results(loaded)
    (release / AUTOENCODER).write_bytes(b"")
    with (release / TRANSFORMER).open("r+b") as file:
        file.truncate(10)
    assert all(torch.equal(a, b) for a, b in zip(before, results(loaded), strict=True))


def remarks(folder: Path) -> str:
    return "; ".join(r for f in inspect_released(folder, SMALL_PAPER).files for r in f.remarks())


@pytest.mark.parametrize("key", ["state_dict", "model", "ema", "generator"])
def test_a_table_inside_a_table_is_found(key: str, tmp_path: Path) -> None:
    files = split(parameters())
    nested = {name: {key: content, "epoch": 3} for name, content in files.items()}
    folder = write_release(tmp_path, nested)  # type: ignore[arg-type]
    assert inspect_released(folder, SMALL_PAPER).usable
    assert f"begin with '{key}.'" in remarks(folder)


@pytest.mark.parametrize(
    "prefix", ["module.", "model.", "_orig_mod.", "ema.", "module._orig_mod."]
)
def test_a_prefix_that_all_names_share_is_taken_off_and_named(prefix: str, tmp_path: Path) -> None:
    files = split(parameters())
    wrapped = {f: {prefix + n: t for n, t in c.items()} for f, c in files.items()}
    folder = write_release(tmp_path / "wrapped", wrapped)
    assert remarks(folder).count(f"begin with '{prefix}', which is taken off") == 2
    for mine, theirs in zip(
        results(load(folder)), results(load(write_release(tmp_path / "plain", files))), strict=True
    ):
        assert torch.equal(mine, theirs)


def test_a_part_may_leave_out_its_own_name(tmp_path: Path) -> None:
    files = split(parameters())
    for name, root in ((AUTOENCODER, "motion_autoencoder."), (TRANSFORMER, "flow_transformer.")):
        files[name] = {n.removeprefix(root): t for n, t in files[name].items()}
    assert inspect_released(write_release(tmp_path, files), SMALL_PAPER).usable


def test_optimizer_and_epoch_beside_the_tensors_are_left_out(tmp_path: Path) -> None:
    files = split(parameters())
    beside: dict[str, object] = {
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}, "param_groups": [{"lr": 0.1}]},
        "epoch": 12,
        "config": {"name": "released"},
    }
    folder = write_release(tmp_path, {n: {**c, **beside} for n, c in files.items()})  # type: ignore[dict-item]
    assert inspect_released(folder, SMALL_PAPER).usable
    assert "left out, as the network has no such tensors: optimizer.state.0.exp_avg" in remarks(
        folder
    )
    load(folder)


def test_averaged_weights_are_taken_where_both_are_there(tmp_path: Path) -> None:
    files = split(parameters())
    both = {
        name: {"model": {n: t * 0 for n, t in content.items()}, "ema": content}
        for name, content in files.items()
    }
    folder = write_release(tmp_path / "both", both)  # type: ignore[arg-type]
    plain = load(write_release(tmp_path / "plain", files))
    for mine, theirs in zip(results(load(folder)), results(plain), strict=True):
        assert torch.equal(mine, theirs)
    assert "begin with 'ema.'" in remarks(folder)
    assert "under 'model.'" in remarks(folder)


def test_a_table_that_holds_itself_is_no_endless_one(release: Path) -> None:
    content: dict[str, object] = dict(split(parameters())[TRANSFORMER])
    content["self"] = {"again": content}
    torch.save(content, release / TRANSFORMER)
    assert inspect_released(release, SMALL_PAPER).usable


def test_the_folder_above_the_authors_is_taken(release: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    release.rename(tmp_path / "root" / "pretrained_dir")
    report = inspect_released(tmp_path / "root", SMALL_PAPER)
    assert report.usable
    assert report.place == str(tmp_path / "root" / "pretrained_dir")
    assert not lacks_speech(tmp_path / "root")
    load(tmp_path / "root")


def test_both_spellings_of_the_normalised_weight_are_read(tmp_path: Path) -> None:
    files = split(parameters())
    here = files[TRANSFORMER]
    assert all(WEIGHT_NORM + new in here for new in NEW_SPELLING)
    spelled = load(write_release(tmp_path / "new", files))
    for new, old in zip(NEW_SPELLING, OLD_SPELLING, strict=True):
        here[WEIGHT_NORM + old] = here.pop(WEIGHT_NORM + new)
    respelled = load(write_release(tmp_path / "old", files))
    for mine, theirs in zip(results(spelled), results(respelled), strict=True):
        assert torch.equal(mine, theirs)
    here[WEIGHT_NORM + NEW_SPELLING[0]] = here[WEIGHT_NORM + OLD_SPELLING[0]]
    assert "weight_g" in remarks(write_release(tmp_path / "both", files))


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
def test_the_speech_encoder_may_lie_in_its_own_folder(name: str, tmp_path: Path) -> None:
    tensors = parameters()
    speech = {n: tensors.pop(n) for n in list(tensors) if n.startswith(SPEECH)}
    folder = write_release(tmp_path / "two", split(tensors))
    assert lacks_speech(folder)
    assert "model.safetensors is missing, nor are its tensors in flow" in refusal(folder)
    speech_folder(folder, speech, name)
    loaded = load(folder)
    assert f"wav2vec2-base-960h/{name}" in loaded.origin["sources"]
    whole = write_release(tmp_path / "one")
    assert not lacks_speech(whole)
    for mine, theirs in zip(results(loaded), results(load(whole)), strict=True):
        assert torch.equal(mine, theirs)


def test_what_training_alone_reads_may_be_missing(tmp_path: Path) -> None:
    files = split(parameters())
    del files[TRANSFORMER][SPEECH + "masked_spec_embed"]
    loaded = load(write_release(tmp_path, files))
    assert not loaded.generator.audio_encoder.wav2vec2.masked_spec_embed.any()


def remove(files: Files) -> str:
    del files[TRANSFORMER][MLP]
    return f"{TRANSFORMER}: {MLP} is missing"


def remove_speech(files: Files) -> str:
    name = SPEECH + "encoder.layer_norm.bias"
    del files[TRANSFORMER][name]
    return f"{name} is missing"


def deepen(files: Files) -> str:
    """A larger network, whose result would be another one."""
    name = MLP.replace(".mlp.2.", ".mlp.4.")
    files[TRANSFORMER][name] = torch.zeros(32)
    return f"{TRANSFORMER}: {name} is not part of the network"


def rename(files: Files) -> str:
    here = files[TRANSFORMER]
    here[MLP.replace("t_embedder", "time")] = here.pop(MLP)
    return f"{TRANSFORMER}: {MLP} is missing"


def shape(files: Files) -> str:
    files[TRANSFORMER][MLP] = torch.zeros(7)
    return f"{MLP} has shape [7] instead of [32]"


def stretch(files: Files) -> str:
    """One number that claims to be as many as the world has."""
    files[TRANSFORMER][MLP] = torch.zeros(1).expand(10**15)
    return f"{MLP} has shape [1000000000000000] instead of [32]"


def integers(files: Files) -> str:
    files[TRANSFORMER][MLP] = torch.zeros(32, dtype=torch.int32)
    return f"{MLP} holds no plain floating-point numbers"


def words(files: Files) -> str:
    files[TRANSFORMER][MLP] = "zero"  # type: ignore[assignment]
    return f"{MLP} holds no plain floating-point numbers"


def nowhere(files: Files) -> str:
    files[TRANSFORMER][MLP] = torch.zeros(32, device="meta")
    return f"{MLP} holds no plain floating-point numbers"


def infinite(files: Files) -> str:
    files[TRANSFORMER][MLP][3] = float("inf")
    return f"{MLP} holds values that are no numbers"


DAMAGE = (
    remove,
    remove_speech,
    deepen,
    rename,
    shape,
    stretch,
    integers,
    words,
    nowhere,
    infinite,
)


@pytest.mark.parametrize("damage", DAMAGE)
def test_each_damage_is_named(damage: Callable[[Files], str], tmp_path: Path) -> None:
    files = split(parameters())
    expected = damage(files)
    assert expected in refusal(write_release(tmp_path, files))


def test_other_tensors_are_listed_and_do_no_harm(tmp_path: Path) -> None:
    files = split(parameters())
    files[AUTOENCODER]["motion_autoencoder.dec.more"] = torch.zeros(3)
    files[AUTOENCODER][MLP] = files[TRANSFORMER][MLP]
    folder = write_release(tmp_path, files)
    load(folder)
    assert f"motion_autoencoder.dec.more; {MLP}" in remarks(folder)
    for k in range(9):
        files[AUTOENCODER][f"discriminator.{k}.bias"] = torch.zeros(3)
    assert "9 under 'discriminator.'" in remarks(write_release(tmp_path, files))


def test_many_faults_are_counted(tmp_path: Path) -> None:
    files = split(parameters())
    for name in list(files[AUTOENCODER])[:9]:
        del files[AUTOENCODER][name]
    write_release(tmp_path, files)
    with pytest.raises(CheckpointError, match="and 5 more"):
        load(tmp_path)


def test_missing_files_are_named(tmp_path: Path) -> None:
    message = refusal(tmp_path / "nowhere")
    for name in (AUTOENCODER, TRANSFORMER, "wav2vec2-base-960h/model.safetensors"):
        assert f"{name} is missing" in message


def test_a_file_cut_short_is_reported(release: Path) -> None:
    path = release / TRANSFORMER
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert f"{TRANSFORMER}: a file that is damaged or holds something else" in refusal(release)
    path.write_bytes(b"")
    assert f"{TRANSFORMER}: an empty file" in refusal(release)


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0f\nsize 614000000\n"


@pytest.mark.parametrize(
    ("text", "got", "remedy"),
    [
        ("", "an empty file", "download it again"),
        (POINTER, "a Git LFS pointer, which stands for a file of 614 MB", "git lfs pull"),
        ("\n<!DOCTYPE html><title>Quota exceeded", "a web page", "by a browser"),
    ],
)
@pytest.mark.parametrize("name", [TRANSFORMER, "wav2vec2-base-960h/model.safetensors"])
def test_what_came_instead_of_a_file_is_recognised(
    name: str, text: str, got: str, remedy: str, tmp_path: Path
) -> None:
    tensors = parameters()
    speech = {n: tensors.pop(n) for n in list(tensors) if n.startswith(SPEECH)}
    folder = write_release(tmp_path, split(tensors))
    speech_folder(folder, speech)
    (folder / name).write_text(text)
    assert f"{name}: {got}" in refusal(folder)
    files = {file.name: file for file in inspect_released(folder, SMALL_PAPER).files}
    assert remedy in files[name].remedy


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.marker,)


def as_zip(path: Path, trap: Trap) -> None:
    torch.save({MLP: trap}, path)


def as_old_file(path: Path, trap: Trap) -> None:
    torch.save({MLP: trap}, path, _use_new_zipfile_serialization=False)


def as_bare_pickle(path: Path, trap: Trap) -> None:
    path.write_bytes(pickle.dumps(trap))


def test_an_old_file_is_not_met_with_torchs_advice(release: Path) -> None:
    content = torch.load(release / TRANSFORMER)
    torch.save(content, release / TRANSFORMER, _use_new_zipfile_serialization=False)
    assert "torch.save" not in refusal(release)
    assert "no zip archive" in refusal(release)


@pytest.mark.parametrize("write", [as_zip, as_old_file, as_bare_pickle])
def test_a_file_that_would_run_code_is_refused(
    write: Callable[[Path, Trap], None], release: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    write(release / TRANSFORMER, Trap(marker))
    assert f"{TRANSFORMER}: a file that is damaged or holds something else" in refusal(release)
    assert not marker.exists()


def test_the_trap_would_have_worked(tmp_path: Path) -> None:
    as_zip(tmp_path / "trap.pth", Trap(tmp_path / "marker"))
    torch.load(tmp_path / "trap.pth", weights_only=False)
    assert (tmp_path / "marker").exists()


def test_a_file_without_a_table_is_reported(release: Path) -> None:
    torch.save(torch.zeros(3), release / TRANSFORMER)
    assert f"{TRANSFORMER}: a Tensor" in refusal(release)
    with zipfile.ZipFile(release / TRANSFORMER, "w") as other:
        other.writestr("hello.txt", "hello")
    assert f"{TRANSFORMER}: a file that is damaged" in refusal(release)


def test_half_precision_is_read_as_single(tmp_path: Path) -> None:
    files = split(parameters())
    for content in files.values():
        content |= {n: t.half() for n, t in content.items() if t.is_floating_point()}
    loaded = load(write_release(tmp_path, files))
    assert all(p.dtype == torch.float32 for p in loaded.generator.parameters())
