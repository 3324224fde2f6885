import keras
import numpy as np
import pytest

from applications import datasets
from applications import mnist
from applications import results
from applications import robustness
from applications.paper_tables import TABLE1_MNIST


def arguments(folder, *more):
    return ["--dataset", "digits", "--quiet", "--output", str(folder), *more]


def test_rows_are_trained_attacked_and_written(tmp_path, capsys):
    options = arguments(
        tmp_path, "--bottleneck", "none", "vib", "--normalization", "feature", "--epochs", "3"
    )
    mnist.main(options)
    base, feature = results.read_rows(tmp_path / "table1_digits.csv")
    assert (base["normalization"], base["r"]) == ("base", "")
    assert (feature["normalization"], feature["r"]) == ("feature", "1")
    assert float(feature["rate_nats"]) == pytest.approx(np.log(10), rel=1e-5)
    for row in (base, feature):
        assert float(row["eps_0.0"]) < 60, "three epochs on digits do better than guessing"
        assert float(row["eps_0.4"]) > float(row["eps_0.0"])
        assert row["commit"]
        assert row["backend"].startswith(keras.backend.backend())
        assert row["data_sha256"] == datasets.load("digits").sha256
    output = capsys.readouterr().out
    assert "| feature | 1 | 3 | 0 |" in output
    assert "| feature | 1 | 3 | 0 |" in (tmp_path / "table1_digits.md").read_text()

    # A second run finds both rows and trains nothing.
    before = (tmp_path / "table1_digits.csv").read_bytes()
    mnist.main(options)
    assert (tmp_path / "table1_digits.csv").read_bytes() == before


class Killed(Exception):
    pass


class KillAfterEpoch(keras.callbacks.Callback):
    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Killed


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # the log left open by the kill
@pytest.mark.parametrize("killed_while_writing", [False, True])
def test_a_killed_run_goes_on(killed_while_writing, tmp_path, monkeypatch):
    data = datasets.load("digits")
    setting = robustness.Setting(dataset="digits", epochs=4)
    fit = keras.Model.fit

    def killed_fit(model, *args, callbacks, **kwargs):
        return fit(model, *args, callbacks=[*callbacks, KillAfterEpoch(2)], **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "fit", killed_fit)
        with pytest.raises(Killed):
            robustness.train(setting, data, tmp_path, verbose=0)
    if killed_while_writing:
        (weights,) = tmp_path.glob("checkpoints/*/latest/latest.weights.h5")
        weights.write_bytes(weights.read_bytes()[:1000])
    seen = []

    def watched_fit(model, *args, **kwargs):
        history = fit(model, *args, **kwargs)
        seen.append((history.epoch, int(model.optimizer.iterations)))
        return history

    monkeypatch.setattr(keras.Model, "fit", watched_fit)
    robustness.train(setting, data, tmp_path, verbose=0)
    # What was left of the four epochs, the optimizer's state restored.
    assert seen == [([1, 2, 3] if killed_while_writing else [2, 3], 4 * 15)]
    epochs = results.read_rows(tmp_path / "history" / f"{setting.label()}.csv")
    assert sorted({row["epoch"] for row in epochs}) == ["0", "1", "2", "3"]
    assert epochs[-1]["epoch"] == "3"


def test_checkpoints_of_another_setting_are_refused(tmp_path):
    data = datasets.load("digits")
    setting = robustness.Setting(dataset="digits", epochs=1)
    robustness.train(setting, data, tmp_path, verbose=0)
    other = robustness.Setting(dataset="digits", epochs=1, learning_rate=0.1)
    with pytest.raises(ValueError, match="learning_rate"):
        robustness.train(other, data, tmp_path, verbose=0)


def test_every_row_of_the_paper_can_be_asked_for():
    options = mnist.parse_arguments(
        "--bottleneck none dropout vib --epochs 400 "
        "--normalization batch instance feature "
        "--rate-multiplier 0.125 0.25 0.5 1 1.5".split()
    )
    rows = mnist.settings(options)
    names = {
        (row.row_name, f"{row.rate_multiplier:g}" if row.bottleneck == "vib" else "")
        for row in rows
    }
    assert names == set(TABLE1_MNIST)
    assert len(rows) == 17


def test_several_attack_samples(tmp_path):
    data = datasets.load("digits")
    for attack_samples in (1, 3):
        setting = robustness.Setting(dataset="digits", epochs=1, attack_samples=attack_samples)
        model = robustness.build_model(setting, data)
        errors = robustness.evaluate(setting, data, model)
        assert len(errors) == 5
        assert 50 < errors["eps_0.0"] <= 100, "untrained"


def test_missing_data_is_one_clear_message(tmp_path):
    with pytest.raises(SystemExit, match="three ways"):
        mnist.main(["--data-dir", str(tmp_path), "--output", str(tmp_path)])
