"""Compare attribution maps of a classifier.

    python -m applications.attributions --dataset mnist --data-dir DIR --preset paper

The command uses a classifier of Table 1, by default "base". It takes the weights that
`applications.table1` or `applications.classifier` wrote into the same --output folder, or
trains the classifier if there are none. It uses the first test images that are classified
correctly. Each method ranks their pixels: the amplitude of `keras_slashed.attribution`,
SmoothGrad, integrated gradients, the plain gradient and noise. The amplitude, SmoothGrad and
the gradient are also multiplied by the difference of the image from the mean image. Two
criteria judge a map. The first is the class probability while the most important pixels are
deleted (replaced by the mean training image) or inserted (into the blurred image). The second
is how much the map changes when the model's last layer, or all layers, get random weights. The
command writes attribution_DATASET.csv and .md, attribution_DATASET_curves.csv, and three
pictures.
"""

import pathlib
import time

import keras

from applications.attributions import evaluation
from applications.attributions import figure
from applications.attributions import report
from applications.attributions.classifiers import chosen_setting
from applications.attributions.classifiers import images_classified_right
from applications.attributions.classifiers import trained_classifier
from applications.attributions.evaluation import randomize
from applications.attributions.evaluation import rank_correlations
from applications.attributions.evaluation import standard_error
from applications.attributions.methods import methods
from applications.datasets import images
from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.table1.compiled_classifier import build_classifier
from applications.table1.options import add_scale
from applications.table1.options import parse_scaled
from applications.table1.presets import table1_rows
from applications.table1.presets import table_name
from keras_slashed.attribution import plot_attribution

_MODULE = "applications.attributions"
_DATASETS = ("mnist", "cifar10", "digits")
_PICTURED = 12  # images in the picture in nats


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/table1")
    parser.add_images(_DATASETS)
    add_scale(parser)
    parser.add_running()
    add, positive = parser.add, command_line.positive
    add("--width", positive, metavar="N",
        help="width of a ResNet18 (default: that of the preset)")  # fmt: skip
    add("--row", default="base", help="row of Table 1: base, batch_r1, ...")
    add("--images", positive, 300, metavar="N", help="number of images")
    add("--noise", command_line.positive_number, 1.0, metavar="S",
        help="standard deviation of the amplitude's prior, for pixels in [-1, 1]")  # fmt: skip
    add("--beta", command_line.positive_number, 0.1, metavar="B", help="price of a nat")
    add("--steps", positive, 20, metavar="N", help="steps of the amplitude's iteration")
    add("--num-samples", positive, 50, metavar="S", help="number of draws")
    add("--blur", command_line.nonnegative_number, 4.0, metavar="PIXELS",
        help="standard deviation of the blur")  # fmt: skip
    add("--seed", command_line.seed, 0, metavar="S", help="seed of the draws")
    options = parse_scaled(parser, arguments)
    names = [row.short_name for row in table1_rows(options.dataset, options.preset)]
    if options.row not in names:
        parser.error(f"--row: {options.dataset} has no row {options.row!r}, only {names}")
    return options


@table_command(
    "Run the same command again: the training of a classifier continues where it stopped, and "
    "the comparison of the maps starts over."
)
def main(arguments=None):
    """Compare the methods on one classifier."""
    options = parse_arguments(arguments)
    data = images.load(*command_line.image_source(options))
    setting = chosen_setting(options, options.row)
    model = trained_classifier(setting, data, options.output, _MODULE)
    x, y = images_classified_right(model, data, options.images)
    print(f"{setting.short_name}, {len(x)} correctly classified images of {data.name}")
    keras.utils.set_random_seed(setting.seed + 1)
    fresh = build_classifier(setting, data, inference="mean")
    comparison = Comparison(model, fresh, x, y, data, options)
    description = {
        **setting.columns(),
        "images": str(len(x)),
        "noise": f"{options.noise:g}",
        "beta": f"{options.beta:g}",
        "draws": str(options.num_samples),
        "data": data.source,
        "data_sha256": data.sha256,
        **describe_run(_MODULE),
    }
    rows = [{**row, **description} for row in comparison.rows()]
    output = pathlib.Path(options.output)
    name = f"attribution_{table_name(options.dataset)}"
    name += "" if options.row == "base" else f"_{options.row}"
    csv_tables.write_rows(output / f"{name}.csv", rows)
    csv_tables.write_rows(output / f"{name}_curves.csv", comparison.curve_rows())
    text = report.markdown(rows, f"{name}.csv")
    (output / f"{name}.md").write_text(text)
    figure.draw_curves(comparison.curves, output / f"{name}_curves.png")
    figure.draw_maps(x, comparison.maps, output / f"{name}_maps.png")
    shown = slice(_PICTURED)
    nats = comparison.maps["amplitude"][shown]
    plot_attribution(x[shown], nats, path=output / f"{name}_nats.png")
    print(f"\n{text}\nwritten to {output}/{name}*")
    return rows


class Comparison:
    """The maps of each method for one model, and the criteria that judge them.

    Args:
        model: `keras.Model`. The trained classifier.
        fresh: `keras.Model` of the same architecture, with its initial weights.
        x: NumPy array of images.
        y: NumPy array of their classes.
        data: `ImageData` that the images come from.
        options: Namespace of the command line's options.

    Attributes:
        maps: Dict from the name of each map to the map.
        curves: Dict `{"deletion": {name: array}, "insertion": {name: array}}` with arrays of
            shape `(N, steps + 1)`.
    """

    def __init__(self, model, fresh, x, y, data, options):
        self._model, self._fresh, self._x, self._y = model, fresh, x, y
        self._mean = data.x_train.mean(axis=0)
        self._blur = evaluation.blurred(x, options.blur)
        self._methods = methods(
            model,
            self._mean,
            options.noise,
            options.beta,
            options.steps,
            options.num_samples,
            options.seed,
        )
        self.maps = {}
        self.curves = {"deletion": {}, "insertion": {}}

    def rows(self):
        """Evaluate every method, and return a dict of strings for each map."""
        rows = {}
        for method, (function, gradients) in self._methods.items():
            start = time.process_time()
            maps = self._maps_of(method, function)
            seconds = time.process_time() - start
            for name, values in maps.items():
                self.maps[name] = values
                rows[name] = {
                    "map": name,
                    **self._judge(name, values),
                    "gradients": str(gradients),
                    "processor_ms_per_image": f"{1000 * seconds / len(self._x):.3g}",
                }
                print(f"{name}: {rows[name]['deletion']} {rows[name]['insertion']}", flush=True)
        for layers, column in ((1, "last_layer"), (None, "all_layers")):
            randomize(self._model, self._fresh, layers)
            for method, (function, _) in self._methods.items():
                for name, values in self._maps_of(method, function).items():
                    correlations = rank_correlations(self.maps[name], values)
                    # Noise does not depend on the model.
                    known = "" if method == "random" else f"{correlations.mean():.4f}"
                    error = "" if method == "random" else f"{standard_error(correlations):.4f}"
                    rows[name] |= {f"random_{column}": known, f"random_{column}_error": error}
            print(f"random weights, {column}: done", flush=True)
        return list(rows.values())

    def _maps_of(self, method, function):
        """Return a method's map, and its direction times the difference that deletion removes."""
        maps, direction = function(self._x, self._y)
        found = {method: maps}
        # Integrated gradients already contain this difference, and noise has no direction.
        if method not in ("integrated gradients", "random"):
            found[f"{method}, x difference"] = direction * (self._x - self._mean)
        return found

    def curve_rows(self):
        """Return the mean curves, with a dict for each map and share of pixels."""
        return [
            {
                "curve": kind,
                "map": name,
                "share": f"{index / (curves.shape[1] - 1):.4f}",
                "probability": f"{curves[:, index].mean():.5f}",
                "error": f"{standard_error(curves[:, index]):.5f}",
            }
            for kind, by_method in self.curves.items()
            for name, curves in by_method.items()
            for index in range(curves.shape[1])
        ]

    def _judge(self, name, maps):
        """Compute both curves, store them, and return the columns of the areas under them."""
        arguments = self._model, self._x, self._y, maps
        self.curves["deletion"][name] = evaluation.deletion_curve(*arguments, self._mean)
        self.curves["insertion"][name] = evaluation.insertion_curve(*arguments, self._blur)
        columns = {}
        for kind, curves in self.curves.items():
            areas = evaluation.area(curves[name])
            difference = areas - evaluation.area(curves["amplitude"])
            columns |= {
                kind: f"{areas.mean():.4f}",
                f"{kind}_error": f"{standard_error(areas):.4f}",
                f"{kind}_less_amplitude": f"{difference.mean():.4f}",
                f"{kind}_less_amplitude_error": f"{standard_error(difference):.4f}",
            }
        return columns


if __name__ == "__main__":
    main()
