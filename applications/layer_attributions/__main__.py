"""Compare attribution maps at several layers of a convolutional classifier.

    python -m applications.layer_attributions --dataset cifar10 --data-dir DIR --preset short

The classifier of CIFAR-10 is the row "base" of Table 1, a ResNet18. The command takes the weights
in the --output folder, or trains it if there are none. The classifier of the digits is a small
convolutional network, which trains in seconds and needs no file. At the pixels and at each layer,
these methods make a map: the amplitude of `keras_slashed.attribution` with the channel's mean as
the prior mean or around the value, the per-sample bottleneck of Schulz et al. (IBA) with and
without smoothing, the gradient times the activation, and noise. The amplitude and IBA have the
same price, and noise with the same standard deviation of each channel.

The criteria are deletion, insertion and random weights, as in `applications.attributions`, and a
pointing game: a mosaic of 2 x 2 images of different classes is classified, and the map of one of
these classes should be in its quarter. The command writes layers_DATASET.csv and .md,
layers_DATASET.png, and layers_DATASET_mosaics.png.
"""

import pathlib

import keras

from applications.attributions.classifiers import images_classified_right
from applications.datasets import images
from applications.experiment import command_line
from applications.experiment import csv_tables
from applications.experiment.provenance import describe_run
from applications.experiment.table_command import table_command
from applications.layer_attributions import figure
from applications.layer_attributions import report
from applications.layer_attributions.classifiers import classifier
from applications.layer_attributions.classifiers import larger
from applications.layer_attributions.classifiers import with_channels
from applications.layer_attributions.judge import Judge
from applications.layer_attributions.judge import check_layers
from applications.layer_attributions.mosaics import make_mosaics
from applications.table1.options import add_scale
from applications.table1.options import parse_scaled

_MODULE = "applications.layer_attributions"
_REFERENCE = 1000  # training images for the statistics of channels


def parse_arguments(arguments=None):
    """Return the command line's arguments."""
    parser = command_line.Parser(_MODULE, __doc__, "runs/table1")
    parser.add_images(("cifar10", "digits"))
    add_scale(parser)
    add, positive = parser.add, command_line.positive
    several = command_line.integer(2, expected="an integer of 2 or more")  # for standard errors
    add("--width", positive, metavar="N",
        help="width of the ResNet18 (default: that of the preset)")  # fmt: skip
    add("--layers", metavar="NAME", nargs="+",
        help="layers to compare with the pixels (default: two of the classifier)")  # fmt: skip
    add("--images", several, 100, metavar="N", help="number of images")
    add("--sanity-images", several, 30, metavar="N",
        help="number of images for the maps with random weights")  # fmt: skip
    add("--mosaics", several, 100, metavar="N", help="number of mosaics")
    add("--beta", command_line.positive_number, 10.0, metavar="B",
        help="price of the mean information of all elements")  # fmt: skip
    add("--steps", positive, 10, metavar="N", help="steps of the amplitude and of IBA")
    add("--num-samples", positive, 10, metavar="S", help="number of draws in each step")
    add("--blur", command_line.nonnegative_number, 4.0, metavar="PIXELS",
        help="standard deviation of the blur")  # fmt: skip
    add("--seed", command_line.seed, 0, metavar="S", help="seed of the draws")
    return parse_scaled(parser, arguments)


@table_command(
    "Run the same command again: the trained classifier is used again, and the comparison starts "
    "over."
)
def main(arguments=None):
    """Compare the methods at all layers."""
    options = parse_arguments(arguments)
    data = with_channels(images.load(*command_line.image_source(options)))
    trained = classifier(options, data, _MODULE)
    layers = check_layers(trained.model, options.layers or trained.layers)
    x, y = images_classified_right(trained.model, data)
    right = len(x) / len(data.x_test)
    print(f"{trained.columns['model']}, {100 * right:.1f}% of {data.name} classified correctly")
    mosaics = make_mosaics(x, y, options.mosaics, options.seed)
    keras.utils.set_random_seed(options.seed + 1)
    judge = Judge(
        trained.model,
        larger(trained, mosaics.x.shape[1:]),
        trained.build(data.x_train.shape[1:]),
        x[: options.images],
        y[: options.images],
        mosaics,
        data.x_train[:_REFERENCE],
        options,
    )
    description = {
        "dataset": data.name,
        **trained.columns,
        "accuracy": f"{right:.4f}",
        "images": str(len(x[: options.images])),
        "sanity_images": str(options.sanity_images),
        "mosaics": str(options.mosaics),
        "beta": f"{options.beta:g}",
        "steps": str(options.steps),
        "draws": str(options.num_samples),
        "data": data.source,
        "data_sha256": data.sha256,
        **describe_run(_MODULE),
    }
    output, name, rows = pathlib.Path(options.output), f"layers_{data.name}", []
    for layer in layers:  # the table of the layers so far survives an interruption
        rows += [{**row, **description} for row in judge.rows(layer)]
        csv_tables.write_rows(output / f"{name}.csv", rows)
    text = report.markdown(rows, f"{name}.csv")
    (output / f"{name}.md").write_text(text)
    figure.draw_criteria(rows, output / f"{name}.png")
    figure.draw_mosaics(mosaics, judge.maps, output / f"{name}_mosaics.png")
    print(f"\n{text}\nwritten to {output}/{name}*")
    return rows


if __name__ == "__main__":
    main()
