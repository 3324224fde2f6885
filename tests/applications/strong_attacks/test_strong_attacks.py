"""The classifiers of Table 1 under stronger attacks, from training to the picture."""

import dataclasses
import shutil
import sys

import keras
import numpy as np
import pytest

from applications.attacks.fgsm import EPSILONS
from applications.attacks.worst_case import Findings
from applications.attacks.worst_case import StrongAttacks
from applications.attacks.worst_case import worst_of
from applications.datasets import image_data
from applications.experiment import csv_tables
from applications.experiment.resumable_training import RowFiles
from applications.strong_attacks import __main__ as strong_attacks
from applications.strong_attacks import figure
from applications.strong_attacks import report
from applications.strong_attacks import row_runner
from applications.strong_attacks import row_runner as strong_rows
from applications.strong_attacks import trained_classifiers
from applications.strong_attacks.figure import draw
from applications.strong_attacks.figure import plt
from applications.strong_attacks.trained_classifiers import setting_of
from applications.table1 import __main__ as table1
from applications.table1.config import Setting
from applications.table1.presets import table1_rows
from tests.damage import flipped_bits
from tests.support import to_numpy


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The output folder of a training."""
    folder = tmp_path_factory.mktemp("trained")
    table1.main(["--dataset", "digits", "--output", str(folder), "--batch-size", "479",
                 "--rows", "base", "batch_r1", "--epochs", "8", "--quiet"])  # fmt: skip
    return folder


@pytest.fixture
def runner(trained, monkeypatch):
    """What the command runs rows by."""
    made = row_runner.make_runner(("digits",), trained, "applications.here")
    monkeypatch.setattr(row_runner, "make_runner", lambda *arguments: made)
    return made


def arguments(models, output, *more):
    return ["--dataset", "digits", "--models", str(models), "--output", str(output),
            "--steps", "3", "--restarts", "2", "--quiet", *more]  # fmt: skip


@pytest.mark.experiment("torch")
def test_the_command_beside_the_table_and_resumed(trained, runner, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["strong_attacks", "--rows", "batch"])
    table = tmp_path / "strong_attacks_digits.csv"
    strong_attacks.main(arguments(trained, tmp_path, "--rows", "base"))
    first = table.read_text()
    (base,) = csv_tables.read_rows(table)
    assert list(base) == list(row_runner.COLUMNS)
    assert base["images"] == "360", "all there are"
    for eps in EPSILONS[1:]:
        # FGSM is that of Table 1, and no attack does more than the worst of all.
        assert base[f"fgsm_eps_{eps}"] == base[f"table_eps_{eps}"]
        worst = float(base[f"worst_eps_{eps}"])
        assert worst >= max(
            report.errors_of(base, attack)[EPSILONS.index(eps)]
            for attack in row_runner.ATTACKS
            if report.has_attack(base, attack)
        )
        assert [base[f"{name}_eps_{eps}"] for name in row_runner.SURROGATES] == ["", ""]
    assert float(base["pgd_margin_eps_0.2"]) > float(base["fgsm_eps_0.2"])
    assert base["eps_0.0"] == base["table_eps_0.0"]

    some = arguments(trained, tmp_path, "--rows", "batch", "--images", "100", "--restarts", "1")
    drawn = []
    monkeypatch.setattr(figure, "draw", lambda rows, path: drawn.append(rows) or draw(rows, path))
    strong_attacks.main(some)
    assert [row["normalization"] for row in drawn[0]] == ["base", "batch"]
    assert table.read_text().startswith(first)
    base, vib = csv_tables.read_rows(table)
    assert (vib["normalization"], vib["r"], vib["images"]) == ("batch", "1", "100")
    assert vib["command"] == "python -m applications.here --rows batch"
    # The same classifier on some of the images, by other draws; untrained it would err by 90.
    assert float(vib["eps_0.0"]) == pytest.approx(float(vib["table_eps_0.0"]), abs=15.0)
    assert float(vib["table_eps_0.0"]) < 60.0
    check_surrogates(*runner._made[1:], runner.data.x_test)
    for name in row_runner.SURROGATES:
        assert float(vib[f"{name}_eps_0.2"]) > float(vib["eps_0.0"]) + 10.0
    assert (tmp_path / "strong_attacks_digits.png").stat().st_size > 10_000
    text = (tmp_path / "strong_attacks_digits.md").read_text()
    # In the paper's order, whatever the order of the runs.
    assert text.index("batch r = 1") < text.index("base")

    # A row that is there is not made again; one made again is the same.
    capsys.readouterr()
    strong_attacks.main(some)
    assert "1 of 1 rows are in" in capsys.readouterr().out
    assert len(csv_tables.read_rows(table)) == 2
    options = strong_attacks.parse_arguments(some)
    (setting,) = strong_attacks.settings(options, runner.data)
    done = []
    again = runner(setting, lambda count, logs: done.append(count))
    assert {**again, "attack_seconds": ""} == {**vib, "attack_seconds": ""}
    assert done == list(range(setting.searches + 1))


def check_surrogates(model, surrogates, x):
    """They are the attacked classifier, with the gradient of one draw and with none."""
    _, posterior_mean = surrogates
    for surrogate in surrogates:
        for own, weight in zip(surrogate.weights, model.weights, strict=True):
            np.testing.assert_array_equal(own, weight)
    logits = [model(x[:20], training=False) for model in (*surrogates, *surrogates)]
    assert np.abs(to_numpy(logits[0]) - to_numpy(logits[2])).min() > 0.0
    np.testing.assert_array_equal(to_numpy(logits[1]), to_numpy(logits[3]))
    encoder = keras.Model(model.input, model.get_layer("bottleneck").input)
    amplitude = to_numpy(encoder(x[:20]))
    real = amplitude[:, : amplitude.shape[-1] // 2]
    moving = to_numpy(model.get_layer("bottleneck").rate_normalization.moving_mean_square)
    square = moving / (1.0 - 0.99**24)  # after 8 epochs of 3 steps
    mean = real * np.sqrt(2.0 * np.log(10.0) / square)
    expected = posterior_mean.get_layer("logits")(mean)
    np.testing.assert_allclose(to_numpy(logits[1]), to_numpy(expected), rtol=1e-4, atol=1e-4)


@pytest.mark.experiment("torch")
def test_a_classifier_is_attacked_at_its_rate_once_it_is_calibrated(trained, runner, tmp_path):
    options = ["--rows", "base", "batch", "--images", "100", "--restarts", "1", "--calibrate"]
    options = strong_attacks.parse_arguments(arguments(trained, tmp_path, *options))
    vib, base = strong_attacks.settings(options, runner.data)
    assert (base.calibrated, vib.calibrated) == (False, True)
    row = runner(vib)
    assert (row["calibrated"], row["weights_sha256"]) == ("True", vib.weights_sha256)
    assert report.name_of(row).endswith(", calibrated")
    # The next row is attacked as it was trained, with the statistic of its file.
    ratios = []
    uncalibrated = dataclasses.replace(vib, calibrated=False)
    scaled = dataclasses.replace(vib, rate_factor=4.0)
    for setting in (vib, scaled, uncalibrated):
        runner(setting)
        layer = runner._made[1].get_layer("bottleneck")
        encoder = keras.Model(runner._made[1].inputs, layer.input)
        mean_square = np.mean(np.sum(encoder.predict(runner.data.x_train, verbose=0) ** 2, axis=-1))
        moving = keras.ops.convert_to_numpy(layer.rate_normalization.moving_mean_square)
        ratios.append(mean_square / float(moving))
    assert ratios[:2] == pytest.approx([1.0, 4.0], rel=1e-5)
    assert abs(ratios[2] - 1.0) > 0.01, "it lags behind"


@pytest.mark.experiment("torch")
def test_a_rate_factor_is_for_classifiers_with_a_statistic(trained, runner, tmp_path):
    def settings(*rows):
        options = arguments(trained, tmp_path, "--rate-factor", "4", "--rows", *rows)
        return strong_attacks.settings(strong_attacks.parse_arguments(options), runner.data)

    vib, base = settings("base", "batch")
    assert (base.rate_factor, vib.rate_factor) == (1.0, 4.0)
    row = make_row(vib.classifier, rate_factor="4.0", calibrated="True")
    assert report.name_of(row).endswith(", calibrated, 4 times the rate")
    with pytest.raises(ValueError, match=r"--rate-factor is for the rows batch and feature. Rec"):
        settings("base")
    options = arguments(trained, tmp_path, "--rows", "base", "--calibrate")
    with pytest.raises(ValueError, match=r"--calibrate is for the rows .* Received: \['base'\]"):
        strong_attacks.settings(strong_attacks.parse_arguments(options), runner.data)


@pytest.mark.experiment("torch")
def test_classifiers_that_share_a_compilation_have_their_own_rates(trained, runner, tmp_path):
    options = ["--rows", "batch", "--images", "20", "--restarts", "1"]
    options = strong_attacks.parse_arguments(arguments(trained, tmp_path, *options))
    (vib,) = strong_attacks.settings(options, runner.data)
    other = dataclasses.replace(vib.classifier, rate_multiplier=0.25)
    files = (RowFiles(trained, setting, runner.data.sha256) for setting in (vib.classifier, other))
    shutil.copy(*(file.model for file in files))
    for classifier, r in ((vib.classifier, 1.0), (other, 0.25), (vib.classifier, 1.0)):
        runner(dataclasses.replace(vib, classifier=classifier))
        _, model, surrogates = runner._made
        for attacked in (model, *surrogates):
            rate = float(attacked.get_layer("bottleneck").rate)
            assert rate == pytest.approx(r * np.log(10), rel=1e-6)


@pytest.mark.experiment("torch")
def test_mean_logits_are_another_row(trained, runner, tmp_path):
    options = ["--rows", "base", "batch", "--images", "20", "--restarts", "1"]
    logits = strong_attacks.parse_arguments(
        arguments(trained, tmp_path, *options, "--average", "logits", "--test-images", "30")
    )
    vib, base = strong_attacks.settings(logits, runner.data)
    assert (base.average, vib.average) == ("probabilities", "logits")
    row = runner(vib)
    assert report.name_of(row).endswith(", mean logits")
    # The last layer's output, averaged: no step is between it and the classifier's.
    model = runner._made[1]
    both = keras.Model(model.input, [model.get_layer("logits").output, model.output])
    draws, averaged = (to_numpy(t) for t in both(runner.data.x_test[:20]))
    np.testing.assert_allclose(averaged, draws.mean(axis=1), rtol=1e-5, atol=1e-5)
    other = runner(dataclasses.replace(vib, average="probabilities"))
    assert {row["average"], other["average"]} == {"logits", "probabilities"}


@pytest.mark.experiment("torch")
def test_what_is_not_trained_is_refused_with_the_command_that_trains_it(trained, tmp_path):
    with pytest.raises(SystemExit, match=r"no table1_digits\.csv.*by\n  python -m applications\."
                       r"table1 --dataset digits --output .*nowhere"):  # fmt: skip
        strong_attacks.main(arguments(tmp_path / "nowhere", tmp_path))
    with pytest.raises(SystemExit, match=r"no row dropout of .*It has: base, batch_r1\..*\n  python"
                       r" -m applications\.table1 --dataset digits --rows dropout .*\nwith the "
                       r"options of the commands that made the other rows:\n  python"):  # fmt: skip
        strong_attacks.main(arguments(trained, tmp_path, "--rows", "base", "dropout"))
    (tmp_path / "table1_digits.csv").write_text((trained / "table1_digits.csv").read_text())
    with pytest.raises(SystemExit, match=r"(?s)weights of base are not available: .*base_epochs8_"
                       r"seed0_\w+\.weights\.h5 is missing.*made by\n  python -m applications\."
                       r"table1"):  # fmt: skip
        strong_attacks.main(arguments(tmp_path, tmp_path, "--rows", "base"))


def test_a_setting_comes_back_from_its_columns():
    for dataset in ("mnist", "cifar10"):
        for setting in table1_rows(dataset, "paper") + table1_rows(dataset, "short"):
            assert setting_of(setting.columns()) == setting
    other = Setting(
        bottleneck="beta_vib",
        beta=0.01,
        relu_amplitude=True,
        initializer="torch",
        adam_epsilon=1e-8,
    )
    assert setting_of(other.columns()) == other
    with pytest.raises(ValueError, match=r"another version.*'r': \('0\.12345678', '0\.123457'\)"):
        setting_of({**Setting().columns(), "r": "0.12345678"})


def masked_classifier():
    """Right by at least 100 nats on the inputs of `masked_inputs`: all gradients are 0."""
    dense = keras.layers.Dense(2, use_bias=False)
    model = keras.Sequential([keras.Input((2,)), dense])
    dense.set_weights([1e4 * np.eye(2, dtype="float32")])
    return model


def test_shares_and_attacks_of_a_masked_classifier():
    x = np.array([[0.5, 0.45], [0.0, 0.3], [-0.5, 0.5], [0.9, -0.9]], "float32")
    y = np.array([0, 1, 1, 0])
    attacks = StrongAttacks(masked_classifier(), (0.1, 0.2), (-1.0, 1.0), steps=4, restarts=1)
    reports = []
    found = attacks(x, y, batch_size=3, report=lambda: reports.append(1))
    assert found.zero_gradient.all()
    assert found.certain.all()
    np.testing.assert_array_equal(found.zero_pixels, 1.0)
    assert not found.clean.any()
    assert not found.wrong["fgsm"].any()
    # The two logits come 2 eps closer.
    expected = [[True, False, False, False], [True, True, False, False]]
    for attack in ("fgsm_margin", "pgd_margin"):
        np.testing.assert_array_equal(found.wrong[attack], expected)
    np.testing.assert_array_equal(found.worst, expected)
    assert len(reports) == 2 * 2, "two batches, two searches of one restart"


def test_the_gradient_of_a_surrogate_is_followed():
    """Its gradients are not 0 where those of the masked classifier are."""
    surrogate = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    surrogate.set_weights([np.eye(2, dtype="float32")])
    x = np.array([[0.5, 0.45], [0.0, 0.3], [-0.5, 0.5], [0.9, -0.9]], "float32")
    options = {"steps": 4, "restarts": 1, "surrogates": {"other": surrogate}}
    attacks = StrongAttacks(masked_classifier(), (0.1, 0.2), (-1.0, 1.0), **options)
    assert attacks.names == ("fgsm", "fgsm_margin", "other", "pgd_crossentropy", "pgd_margin")
    found = attacks(x, np.array([0, 1, 1, 0]), batch_size=4)
    assert found.zero_gradient.all(), "of the classifier itself"
    assert not found.wrong["fgsm"].any()
    expected = [[True, False, False, False], [True, True, False, False]]
    np.testing.assert_array_equal(found.wrong["other"], expected)


def test_shares_of_a_classifier_that_is_not_sure():
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0], [50.0, -50.0]], "float32")])
    x = np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.4], [0.5, 0.5, -0.4]], "float32")
    attacks = StrongAttacks(model, (0.1,), (-1.0, 1.0), steps=1, restarts=1)
    found = attacks(x, np.array([0, 0, 0]), 3)
    # By 1 nat, by 41 (p is 1 in float32, but the other class's e^-41 is not 0), wrong by 39.
    np.testing.assert_array_equal(found.certain, [False, True, False])
    assert not found.zero_gradient.any()
    np.testing.assert_allclose(found.zero_pixels, 1 / 3, rtol=1e-6)
    np.testing.assert_array_equal(found.clean, [False, False, True])


def test_the_worst_is_chosen_by_votes_and_margin_and_not_by_the_verdict():
    epsilons = (0.1, 0.2)
    # Verdict, votes, margin of two inputs.
    clean = np.array([[0, 1], [1, 0], [-1.0, -5.0]])
    verdicts = [[[1, 0], [0, 0]], [[0, 1], [1, 0]]]
    votes = [[[0, 3], [2, 3]], [[0, 3], [2, 3]]]
    margins = [[[9.0, 3.0], [0.5, 2.0]], [[9.0, 1.0], [0.1, 2.5]]]
    attacked = np.array([verdicts, votes, margins])
    # First input: itself at eps 0.1, the first attack's image at eps 0.2, by its margin.
    # Second input: the first attack's image of eps 0.1, of the largest margin, for both.
    np.testing.assert_array_equal(worst_of(clean, attacked, epsilons), [[False] * 2] * 2)
    attacked[1, 1, 1, 0] = 3  # the second attack's image at eps 0.2
    attacked[2, 1, 0, 1] = 4.0  # and that of eps 0.1, of the second input
    expected = [[False, True], [True, True]]
    np.testing.assert_array_equal(worst_of(clean, attacked, epsilons), expected)


def make_row(setting, **changes):
    not_made = () if setting.is_stochastic else row_runner.SURROGATES
    errors = {f"{name}_eps_{eps}": "" if name in not_made else "50.00"
              for name in report.TITLES for eps in EPSILONS[1:]}  # fmt: skip
    table = {f"table_eps_{eps}": "12.34" for eps in EPSILONS}
    shares = {"zero_gradient": "1.50", "certain": "12.00", "zero_pixels": "3.00"}
    attack = row_runner.AttackSetting(setting, "0", (), images=400)
    made_by = {"commit": "abc", "backend": "jax 1.0", "keras": "3.1", "device": "CPU, 2 cores"}
    columns = {**attack.columns(), "data_sha256": "0", "eps_0.0": "20.00", **made_by}
    return {**columns, **errors, **table, **shares, **changes}


def test_markdown_has_standard_errors_and_shares():
    rows = [make_row(Setting(bottleneck="none")), make_row(Setting(relu_amplitude=True))]
    text = report.markdown(rows, "strong.csv")
    assert "| base, 400 epochs, seed 0 | FGSM, as in Table 1 | all | 12.34 |" in text
    # sqrt(0.2 0.8 / 400) = 2 %, sqrt(0.5 0.5 / 400) = 2.5 %
    assert text.count("| worst of all | 400 | 20.0 ± 2.0 | 50.0 ± 2.5 |") == 2
    assert text.count("| FGSM, one draw | 400 |") == text.count("| FGSM, posterior mean |") == 1
    name = "batch r = 1, 400 epochs, seed 0, relu_amplitude=True"
    assert f"| {name} | 1.50 % | 12.00 % | 3.00 % |" in text
    assert "20 steps of 5.0 eps / 20, 10 random starts" in text
    assert text.endswith("commit abc (2); Keras 3.1 (2); CPU, 2 cores (2).\n")
    text = report.markdown([*rows, make_row(Setting(), backend="torch 2")], "a.csv")
    assert "| batch r = 1, 400 epochs, seed 0, backend=torch | FGSM, as" in text


def test_attacks_with_other_options_are_claimed_apart():
    one = row_runner.AttackSetting(Setting(), "0", ())
    others = [{}, {"images": 9}, {"steps": 9}, {"attack_seed": 9}, {"weights_sha256": "9"}]
    assert len({dataclasses.replace(one, **other).label("0") for other in others}) == 5


def test_the_picture_has_a_panel_for_each_row(tmp_path, monkeypatch):
    settings = table1_rows("mnist", "short")[:3] + table1_rows("mnist", "short")[-1:]
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    draw([make_row(setting) for setting in settings], tmp_path / "a.png")
    (figure,) = drawn
    panels = [panel for panel in figure.axes if panel.axison]
    assert len(panels) == 4
    bases = [setting.is_stochastic for setting in settings].count(False)
    assert sorted(len(panel.containers) for panel in panels) == [5] * bases + [7] * (4 - bases)
    assert len(figure.legends[0].texts) == 8, "although the first panel may not have all"
    assert list(panels[0].lines[0].get_ydata()) == [12.34] * 5
    labels = [panel.get_xlabel() for panel in panels]
    assert labels == ["", *["strength of the attack, eps"] * 3], "below each column"
    monkeypatch.undo()
    plt.close(figure)


@pytest.mark.experiment("torch")
def test_classifiers_of_other_data_are_not_taken(trained):
    with pytest.raises(ValueError, match=r"It has: none\."):
        trained_classifiers.find_classifiers(trained, "digits", "0")


def test_other_weights_are_another_row():
    one = row_runner.AttackSetting(Setting(), "0", ())
    other = dataclasses.replace(one, weights_sha256="1")
    assert one.columns() != other.columns()


@pytest.mark.experiment("torch")
def test_damaged_weights_are_not_attacked(trained, tmp_path):
    path = next(trained.glob("models/*.weights.h5"))
    copy = tmp_path / path.name
    copy.write_bytes(path.read_bytes())
    assert row_runner.checksum(copy) == row_runner.checksum(path)
    copy.write_bytes(next(flipped_bits(path.read_bytes(), number=0)))
    with pytest.raises(ValueError, match=r"\.weights\.h5 is damaged"):
        row_runner.checksum(copy)


PIXELS = image_data.random_images(4, 3)


def test_what_stands_in_a_row_of_attacks(tmp_path, monkeypatch):
    runner = strong_rows.AttackRunner(PIXELS, tmp_path, "tests")
    strengths = strong_rows.STRENGTHS
    share = iter(np.arange(1, 100) / 100)
    wrong = {name: [np.array([next(share)]) for _ in strengths] for name in strong_rows.ATTACKS}
    worst = [np.array([next(share)]) for _ in strengths]
    others = dict(zip(("clean", "zero_gradient", "certain", "zero_pixels"),
                      map(np.array, share)))  # fmt: skip
    found = Findings(wrong=wrong, worst=worst, **others)
    monkeypatch.setattr(runner, "_attacks", lambda setting: lambda *_: found)
    row = runner(strong_rows.AttackSetting(Setting(), "0", ("1", "2", "3", "4", "5"), images=2))
    names = [f"{name}_eps_{eps}" for name in (*strong_rows.ATTACKS, "worst") for eps in strengths]
    names += ["eps_0.0", "zero_gradient", "certain", "zero_pixels"]
    assert [row[name] for name in names] == [f"{n}.00" for n in range(1, len(names) + 1)]
    assert [row[f"table_eps_{eps}"] for eps in EPSILONS] == ["1", "2", "3", "4", "5"]


@pytest.mark.parametrize("bottleneck", ["none", "vib"])
def test_every_option_reaches_the_attacks(tmp_path, monkeypatch, bottleneck):
    found = {}
    monkeypatch.setattr(strong_rows, "StrongAttacks", lambda *a, **options: found.update(options))
    runner = strong_rows.AttackRunner(PIXELS, tmp_path, "tests")
    options = {"steps": 4, "restarts": 3, "step_size": 1.5}
    setting = Setting(bottleneck=bottleneck, num_samples=6)
    _, model, surrogates = runner._make(
        strong_rows.AttackSetting(setting, "0", (), attack_seed=7, **options)
    )
    vib = bottleneck == "vib"
    del found["surrogates"]
    assert found == {**options, "seed": 7, "estimates": 8 if vib else 1}
    samples = [m.get_layer("bottleneck").num_samples for m in (model, *surrogates) if vib]
    assert samples == [6, None, None][: 3 * vib]


def test_the_command_attacks_as_the_published_rows():
    options = strong_attacks.parse_arguments([])
    default = strong_rows.AttackSetting(Setting(), "0", ())
    for name in ("images", "steps", "restarts", "step_size", "attack_seed"):
        assert getattr(options, name) == getattr(default, name), name
    assert (options.steps, options.restarts, options.step_size) == (20, 10, 5.0)
