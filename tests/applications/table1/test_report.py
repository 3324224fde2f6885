import pytest

from applications.attacks.fgsm import EPSILONS
from applications.table1 import report
from applications.table1.config import Setting
from applications.table1.config import default_setting
from applications.table1.figure import draw
from applications.table1.figure import plt
from applications.table1.presets import TABLE1_CIFAR10
from applications.table1.presets import TABLE1_MNIST


def row(errors, **changes):
    setting = default_setting(changes.pop("dataset", "mnist"))
    made_by = {"commit": "abc", "backend": "jax 1.0", "keras": "3.1", "device": "CPU, 2 cores"}
    rates = {"target_nats": "", "test_rate_nats": "", "data": "files"}
    columns = {**setting.columns(), "data_sha256": "0", **rates, **made_by, **changes}
    return {**columns, **{f"eps_{eps}": str(error) for eps, error in zip(EPSILONS, errors)}}


ROWS = [
    row((3, 30, 60, 80, 90), normalization="base", r="", seed="0"),
    row((1, 10, 20, 30, 40), seed="2"),
    row((2, 10, 26, 30, 40), seed="0"),
    row((5, 10, 20, 30, 40), seed="0", relu_amplitude="True"),
    row((7, 50, 60, 70, 80), normalization="batch", r="0.125", epochs="20"),
]


def test_seeds_are_one_group_and_nothing_else_is():
    groups = report.groups(ROWS)
    assert [len(group) for group in groups] == [1, 2, 1, 1]
    assert groups[0][0]["epochs"] == "20"
    assert groups[-1][0]["normalization"] == "base"
    mean, deviation = report.errors(groups[1])
    assert mean.tolist() == [1.5, 10, 23, 30, 40]
    assert deviation == pytest.approx([0.5**0.5, 0, 18**0.5, 0, 0])
    assert report.errors(groups[0])[1] is None


def test_a_part_of_the_data_is_named():
    part = "files, the first 100 training and 20 test images; 3 of them are copies"
    text = report.markdown([row((1,) * 5, data=part)], "Table 1", "table1_mnist.csv")
    assert "| mnist, the first 100 training and 20 test images | 400 |" in text


def test_markdown_beside_the_paper():
    text = report.markdown(ROWS, "Table 1", "table1_mnist.csv")
    assert "| batch | 1 | mnist | 400 |  | 0, 2 |  |  | 1.50 ± 0.71 (1.14, +0.36) |" in text
    assert (
        "| batch | 1 | mnist | 400 | relu_amplitude=True | 0 |  |  | 5.00 (1.14, +3.86) |" in text
    )
    assert "90.00 (89.75, +0.25) |" in text


def test_a_stand_in_for_cifar10_says_so():
    small = row((50, 90, 95, 99, 99), dataset="cifar10_small", width="16", stem="cifar")
    text = report.markdown([small], "Table 1", "table1_cifar10.csv")
    assert "| batch | 1 | cifar10_small | 400 | width=16 | 0 |  |  | 50.00 (6.42, +43.58) |" in text
    assert report.paper_errors(row((1,) * 5, dataset="digits")) is None
    assert report.paper_errors(row((1,) * 5, r="3")) is None


def test_a_seed_is_not_averaged_with_itself():
    with pytest.raises(ValueError, match=r"Received: seeds 2, 0, 0 of the row .*batch"):
        report.groups([*ROWS[1:3], ROWS[2]])


def markdown_of(*rows):
    return report.markdown(list(rows), "Table 1", "table1_mnist.csv")


def test_backends_are_apart_and_told():
    rows = [row((1,) * 5, seed="0"), row((3,) * 5, seed="1", backend="torch 2.0")]
    text = markdown_of(*rows)
    assert "| backend=jax | 0 |  |  | 1.00 (" in text
    assert "| backend=torch | 1 |  |  | 3.00 (" in text
    assert text.endswith(
        "\nMade by (number of rows): jax 1.0 (1), torch 2.0 (1); commit abc (2); Keras 3.1 "
        "(2); CPU, 2 cores (2).\n"
    )


def test_data_are_apart_and_told_where_a_data_set_has_several():
    rows = [row((1,) * 5), row((3,) * 5, data_sha256="123456789abcdef")]
    text = markdown_of(*rows)
    assert "| data_sha256=0 | 0 |" in text
    assert "| data_sha256=123456789abc | 0 |" in text
    other = row((1,) * 5, dataset="cifar10", data_sha256="2")
    small = row((1,) * 5, dataset="cifar10_small", data_sha256="3")
    assert "data_sha256" not in markdown_of(other, small)


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"commit": "def"}, "0, 1 (from 2 commits)"),
        ({"device": "GPU"}, "0, 1 (from 2 devices)"),
        ({"backend": "jax 1.1", "keras": "3.2"},
         "0, 1 (from 2 versions of the backend, 2 versions of Keras)"),
    ],
)  # fmt: skip
def test_seeds_of_different_makers_are_told(changes, text):
    rows = [row((1,) * 5, seed="0"), row((3,) * 5, seed="1", **changes)]
    assert f"| {text} |  |  | 2.00 ± 1.41 " in markdown_of(*rows)


def test_rates_beside_the_set_ones():
    def at(*rates, **changes):
        return [
            row((1,) * 5, seed=str(seed), target_nats="2", test_rate_nats=rate, **changes)
            for seed, rate in enumerate(rates)
        ]

    text = markdown_of(*at("2.1", "2.25"))
    assert "| seeds | set rate | test rate | eps 0.0 |" in text
    assert "| 0, 1 | 2.000 | 2.175 | 1.00 ± 0.00 " in text
    assert "\\*" not in text
    text = markdown_of(*at("2.1", "2.4"), *at("1.7", epochs="20"))
    assert "| 0, 1 | 2.000 | 2.250\\* |" in text
    assert "| 0 | 2.000 | 1.700\\* |" in text
    assert "\n\n\\* The rate of the test images differs from the set rate by more than 10 %" in text
    # A beta-VIB has no set rate.
    weighted = row((1,) * 5, normalization="beta_vib", r="", beta="0.1", test_rate_nats="7.5")
    assert "| 0 |  | 7.500 | 1.00 |" in markdown_of(weighted)


def test_the_paper_s_numbers_are_errors():
    for table in (TABLE1_MNIST, TABLE1_CIFAR10):
        assert all(len(errors) == 5 and 0 < min(errors) < 100 for errors in table.values())
        # FGSM harms more the stronger it is, up to what guessing gives.
        assert all(
            list(errors) == sorted(errors) for errors in table.values() if max(errors) < 89.8
        )
    assert Setting().columns()["r"] == "1"


def test_the_picture_has_a_panel_for_each_normalization(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plt, "close", drawn.append)
    draw(ROWS, tmp_path / "table1.png")
    (figure,) = drawn
    batch, instance, feature = figure.axes
    # "batch": four groups and the paper's line next to each; elsewhere the base alone.
    assert [len(panel.lines) for panel in (batch, instance, feature)] == [8, 2, 2]
    assert {line.get_linestyle() for line in instance.lines} == {"-", "--"}
    assert list(batch.lines[2].get_ydata()) == [1.5, 10, 23, 30, 40]
    assert (tmp_path / "table1.png").stat().st_size > 10_000
    monkeypatch.undo()
    plt.close(figure)
