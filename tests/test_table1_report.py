import pytest

from applications import table1_figure
from applications import table1_report
from applications.fgsm import EPSILONS
from applications.paper_tables import TABLE1_CIFAR10
from applications.paper_tables import TABLE1_MNIST
from applications.setting import Setting
from applications.setting import default_setting


def row(errors, **changes):
    setting = default_setting(changes.pop("dataset", "mnist"))
    columns = {**setting.columns(), "data_sha256": "0", **changes}
    return {**columns, **{f"eps_{eps}": str(error) for eps, error in zip(EPSILONS, errors)}}


ROWS = [
    row((3, 30, 60, 80, 90), normalization="base", r="", seed="0"),
    row((1, 10, 20, 30, 40), seed="2"),
    row((2, 10, 26, 30, 40), seed="0"),
    row((5, 10, 20, 30, 40), seed="0", relu_amplitude="True"),
    row((7, 50, 60, 70, 80), normalization="batch", r="0.125", epochs="20"),
]


def test_seeds_are_one_group_and_nothing_else_is():
    groups = table1_report.groups(ROWS)
    assert [len(group) for group in groups] == [1, 2, 1, 1]
    assert groups[0][0]["epochs"] == "20"
    assert groups[-1][0]["normalization"] == "base"
    mean, deviation = table1_report.errors(groups[1])
    assert mean.tolist() == [1.5, 10, 23, 30, 40]
    assert deviation == pytest.approx([0.5**0.5, 0, 18**0.5, 0, 0])
    assert table1_report.errors(groups[0])[1] is None


def test_markdown_beside_the_paper():
    text = table1_report.markdown(ROWS, "Table 1", "table1_mnist.csv")
    assert "| batch | 1 | mnist | 400 |  | 0, 2 | 1.50 ± 0.71 (1.14, +0.36) |" in text
    assert "| batch | 1 | mnist | 400 | relu_amplitude=True | 0 | 5.00 (1.14, +3.86) |" in text
    assert "90.00 (89.75, +0.25) |" in text


def test_a_stand_in_for_cifar10_says_so():
    small = row((50, 90, 95, 99, 99), dataset="cifar10_small", width="16", stem="cifar")
    text = table1_report.markdown([small], "Table 1", "table1_cifar10.csv")
    assert "| batch | 1 | cifar10_small | 400 | width=16 | 0 | 50.00 (6.42, +43.58) |" in text
    assert table1_report.paper_errors(row((1,) * 5, dataset="digits")) is None
    assert table1_report.paper_errors(row((1,) * 5, r="3")) is None


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
    monkeypatch.setattr(table1_figure.plt, "close", drawn.append)
    table1_figure.draw(ROWS, tmp_path / "table1.png")
    (figure,) = drawn
    batch, instance, feature = figure.axes
    # "batch": four groups and the paper's line beside each; elsewhere the base alone.
    assert [len(panel.lines) for panel in (batch, instance, feature)] == [8, 2, 2]
    assert {line.get_linestyle() for line in instance.lines} == {"-", "--"}
    assert list(batch.lines[2].get_ydata()) == [1.5, 10, 23, 30, 40]
    assert (tmp_path / "table1.png").stat().st_size > 10_000
    monkeypatch.undo()
    table1_figure.plt.close(figure)
