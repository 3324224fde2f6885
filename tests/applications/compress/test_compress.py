"""`applications.compress` from the command line to its files, on digits."""

import numpy as np
import pytest

from applications.compress import __main__ as compress
from applications.compress import code_file
from applications.compress import decode
from applications.compress.block_vae import BlockVAE
from applications.compress.config import CoderSetting
from applications.compress.pictures import Pictures
from applications.compress.training import trained
from applications.datasets import images
from applications.experiment import csv_tables
from tests.damage import flipped_bits
from tests.support import to_numpy

OPTIONS = ["--train-images", "1000", "--epochs", "15", "--images", "24", "--units", "64"]
MODELS = ["--rate", "3", "--bits", "6", "--rates", "1", "--betas", "0.5"]
HEADER = 104  # of the file: header, shape and checksum


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    return tmp_path_factory.mktemp("compress")


@pytest.fixture(scope="module")
def rows(output):
    compress.main([*OPTIONS, *MODELS, "--output", str(output)])
    return csv_tables.read_rows(output / "digits.csv")


@pytest.mark.experiment("torch")
def test_the_table(rows, output):
    by_method = csv_tables.grouped(rows, "method")
    fixed, beta = by_method["fixed rate",], by_method["beta-VAE",]
    assert {row["model"] for row in fixed} == {"rate 3", "rate 1", "rate 3, folded"}
    for row in fixed:
        # 8 blocks, each with exactly its rate.
        total = 8 * float(row["rate"])
        for name in ("kl_mean", "kl_99", "kl_largest"):
            assert float(row[name]) == pytest.approx(total, rel=1e-5)
        assert float(row["bytes"]) == float(row["bits"])  # 8 blocks
        assert float(row["bound_bytes"]) == pytest.approx(total / np.log(2) / 8, rel=1e-5)
        difference = float(row["nats"]) - float(row["posterior_nats"])
        assert float(row["excess"]) == pytest.approx(difference, abs=1e-3)
        if row["folded"] == "True":
            assert float(row["widest"]) <= 1
            assert row["wider_than_prior"] == "0"
            assert row["folded_posterior_nats"] == row["posterior_nats"]
    bits = {(row["model"], row["bits_chosen_by"], row["bits"]) for row in fixed}
    swept = {("rate 3", "sweep", str(number)) for number in (2, 4, 6, 8)}
    assert bits == swept | {
        ("rate 1", "equal", "6"),
        ("rate 3, folded", "equal", "6"),
        # 1.4 and 4.3 bits, and the margin
        ("rate 1", "margin", "4"),
        ("rate 3", "margin", "7"),
        ("rate 3, folded", "margin", "7"),
    }
    assert [row["bits_chosen_by"] for row in beta] == ["equal", "quantile"]
    for row in beta:
        assert float(row["kl_largest"]) > float(row["kl_99"]) > float(row["kl_mean"])
    assert set(by_method) > {("JPEG",), ("WebP",), ("PNG",)}
    for row in by_method["PNG",]:
        assert row["psnr"] == "inf"
    text = (output / "digits.md").read_text()
    assert "24 images of exactly 6 bytes" in text
    assert "equal those decoded from memory" in text
    assert text.splitlines()[-1].startswith("Made by (number of rows): ")
    for name in ("digits_curves.png", "digits_images.png"):
        assert (output / name).read_bytes()[:4] == b"\x89PNG"


@pytest.mark.experiment("torch")
def test_the_file_decodes_in_another_step(rows, output, capsys):
    """The file is count x bytes long, and all that the decoder needs besides its own file."""
    codes, model = output / "models" / "digits.codes", output / "models" / "digits.keras"
    assert codes.stat().st_size == 24 * 6 + HEADER
    there = output / "decoded"
    options = ["--codes", str(codes), "--model", str(model), "--output", str(there)]
    decoded = decode.main(options)
    assert "24 images from 248 bytes" in capsys.readouterr().out
    np.testing.assert_array_equal(np.load(there / "decoded.npy"), decoded)
    assert (there / "decoded.png").read_bytes()[:4] == b"\x89PNG"
    originals = (images.load("digits").x_test[:24] + 1) / 2
    errors = np.mean(np.square(decoded - originals), axis=(1, 2))
    others = np.mean(np.square(decoded - originals[::-1]), axis=(1, 2))
    assert errors.mean() < 0.8 * others.mean()


@pytest.mark.experiment("torch")
def test_models_are_trained_once(rows, output, capsys):
    again = compress.main([*OPTIONS, *MODELS, "--output", str(output)])
    assert "epoch" not in capsys.readouterr().out.split("# digits")[0]
    measured = ("model", "bits", "bytes", "nats", "posterior_nats", "psnr")
    for one, other in zip(rows, again, strict=True):
        assert {name: one[name] for name in measured} == {name: other[name] for name in measured}


@pytest.mark.experiment("torch")
def test_an_interrupted_training_continues(tmp_path):
    pictures = Pictures.of(images.load("digits", train_images=200), "shades")
    setting = CoderSetting("digits", "shades", rate=2.0, block_dim=2, units=16, epochs=4)

    def stop(epoch, logs):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(setting, pictures, tmp_path / "stopped", stop, checkpoint_seconds=0)
    seen = []
    for name in ("stopped", "whole"):
        vae, path = trained(setting, pictures, tmp_path / name, lambda *log: seen.append(log))
        assert path.exists()
        seen.append([to_numpy(weight) for weight in vae.training.weights])
    assert seen[0] == (2, {})
    stopped, whole = (entry for entry in seen if isinstance(entry, list))
    for one, other in zip(stopped, whole, strict=True):
        np.testing.assert_array_equal(one, other)


def small_vae(**changes):
    setting = CoderSetting("digits", "shades", rate=4.0, blocks=4, units=8, **changes)
    return BlockVAE(setting, (8, 8))


@pytest.fixture
def files(tmp_path):
    return tmp_path / "some.codes", tmp_path / "some.keras"


def test_what_is_read_is_what_was_in_memory(files):
    vae = small_vae()
    x = np.random.default_rng(0).random((7, 8, 8), dtype="float32")
    in_memory = code_file.write(x, vae.encoder, vae.decoder, 10, *files)
    assert files[0].stat().st_size == 7 * 5 + HEADER
    np.testing.assert_array_equal(code_file.read(*files), in_memory)


def test_what_does_not_belong_together_is_refused(files):
    vae, other = small_vae(), small_vae()
    x = np.random.default_rng(0).random((3, 8, 8), dtype="float32")
    code_file.write(x, vae.encoder, vae.decoder, 8, *files)
    content = files[0].read_bytes()
    files[0].write_bytes(next(flipped_bits(content, number=0)))
    with pytest.raises(ValueError, match="damaged"):
        code_file.read(*files)
    files[0].write_bytes(content)
    other.decoder.save(files[1])
    with pytest.raises(ValueError, match="was saved with the model"):
        code_file.read(*files)
    files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"applications\.compress"):
        code_file.read(*files)


def test_an_image_takes_whole_bytes():
    assert code_file.bytes_per_image(8, 14) == 14
    with pytest.raises(ValueError, match="3 blocks with 9 bits takes 27 bits"):
        code_file.bytes_per_image(3, 9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--dataset", "cifar10", "--pixels", "binary"], "cifar10 is not available as binary"),
        (["--rate", "0"], "--rate"),
        (["--bits", "25"], "--bits"),
        (["--bits", "3"], "must be 5 or more"),
        (["--rates", "1", "1"], "each value makes a row"),
    ],
)
def test_refused_options(options, message, capsys):
    with pytest.raises(SystemExit):
        compress.parse_arguments(options)
    assert message in capsys.readouterr().err


def test_more_images_than_there_are():
    with pytest.raises(SystemExit, match="digits has 360 test images"):
        compress.main(["--images", "361"])


def test_every_position_of_a_map_is_a_block():
    setting = CoderSetting("cifar10", "shades", rate=6.0, blocks=64, units=8)
    vae = BlockVAE(setting, (32, 32, 3))
    x = np.random.default_rng(0).random((2, 32, 32, 3), dtype="float32")
    amplitude = to_numpy(vae.encoder(x))
    assert amplitude.shape == (2, 64, 8)
    np.testing.assert_allclose(np.sum(amplitude**2, axis=-1), 6.0, rtol=1e-5)
    # A pixel in the corner reaches the blocks near it only.
    x[:, 0, 0] = 1 - x[:, 0, 0]
    changed = np.any(to_numpy(vae.encoder(x)) != amplitude, axis=(0, 2)).reshape(8, 8)
    assert changed[0, 0]
    assert not changed[4:].any()
    assert not changed[:, 4:].any()
    assert vae.decoder.output_shape == (None, 32, 32, 3)
    with pytest.raises(ValueError, match=r"Expected: 64 blocks\. Received: 16"):
        BlockVAE(CoderSetting("cifar10", "shades", rate=6.0, blocks=16), (32, 32, 3))
