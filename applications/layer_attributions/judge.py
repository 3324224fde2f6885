"""Judge: how well the maps of one method at one layer do by each criterion."""

import time

import numpy as np

from applications.attributions import evaluation
from applications.attributions.evaluation import standard_error
from applications.layer_attributions.methods import PIXELS
from applications.layer_attributions.methods import CutClassifier
from applications.layer_attributions.methods import methods
from applications.layer_attributions.methods import resized
from applications.layer_attributions.mosaics import quarter_shares

_STEPS = 16  # of the curves of deletion and insertion
_FIRST = "amplitude"  # the method with which the others are compared
RANDOMIZED = {"last_layer": 1, "all_layers": None}  # column: number of layers


class Judge:
    """The criteria for maps of a classifier at its layers.

    Args:
        model: `keras.Model`. The trained classifier.
        larger: `keras.Model`. The same for mosaics.
        fresh: `keras.Model`. The same with initial weights.
        x: NumPy array of images.
        y: NumPy array of their classes.
        mosaics: `Mosaics` of such images.
        reference: NumPy array of training images, for the statistics of channels.
        options: Namespace of the command line's options.

    Attributes:
        maps: Dict from `(layer, method)` to the maps of the mosaics.
    """

    def __init__(self, model, larger, fresh, x, y, mosaics, reference, options):
        self._model, self._larger, self._fresh = model, larger, fresh
        self._x, self._y, self._mosaics, self._reference = x, y, mosaics, reference
        self._options = options
        self._mean = reference.mean(axis=0)
        self._blur = evaluation.blurred(x, options.blur)
        self.maps = {}

    def rows(self, layer):
        """Return a dict of strings for each method at a layer."""
        cut = CutClassifier(self._model, layer)
        own, statistics = self._methods(cut), cut.statistics(self._reference)
        on_mosaics = self._methods(CutClassifier(self._larger, layer))
        rows, found, values = {}, {}, {}
        for name, (function, gradients) in own.items():
            start = time.process_time()
            found[name], nats, residual = function(self._x, self._y, *statistics)
            seconds = time.process_time() - start
            maps = on_mosaics[name][0](self._mosaics.x, self._mosaics.y, *statistics).values
            self.maps[layer, name] = maps
            values[name] = self._values(found[name], maps)
            rows[name] = {
                "layer": layer,
                "map": name,
                "positions": "x".join(map(str, found[name].shape[1:])),
                **{key: text for key, one in values[name].items() for key, text in _mean(key, one)},
                **_less(values[name], values[_FIRST]),
                "nats": "" if nats is None else f"{nats.mean():.4f}",
                "nats_error": "" if nats is None else f"{standard_error(nats):.4f}",
                "residual": "" if residual is None else f"{residual.mean():.4f}",
                "gradients": str(gradients),
                "processor_ms_per_image": f"{1000 * seconds / len(self._x):.3g}",
            }
            shown = {key: rows[name][key] for key in ("deletion", "insertion", "pointing", "nats")}
            print(f"{layer}, {name}: {shown}", flush=True)
        for column, correlations in self._sanity(layer, own, found).items():
            for name, one in correlations.items():
                # Noise does not depend on the model.
                known = "" if name == "random" else f"{one.mean():.4f}"
                error = "" if name == "random" else f"{standard_error(one):.4f}"
                rows[name] |= {f"random_{column}": known, f"random_{column}_error": error}
        return list(rows.values())

    def _methods(self, cut):
        options = self._options
        return methods(cut, options.beta, options.steps, options.num_samples, options.seed)

    def _values(self, maps, of_mosaics):
        """Return the value of each criterion for each image or mosaic."""
        maps = resized(maps, self._x.shape[1:3])
        arguments = self._model, self._x, self._y, maps
        deleted = evaluation.deletion_curve(*arguments, self._mean, _STEPS)
        inserted = evaluation.insertion_curve(*arguments, self._blur, _STEPS)
        shares, quarter = quarter_shares(of_mosaics), self._mosaics.quarter
        return {
            "deletion": evaluation.area(deleted),
            "insertion": evaluation.area(inserted),
            "pointing": (shares.argmax(axis=1) == quarter).astype("float64"),
            "share": shares[np.arange(len(quarter)), quarter],
        }

    def _sanity(self, layer, own, found):
        """Return rank correlations of maps with those of random weights, by column and method."""
        number, trained = self._options.sanity_images, self._model.get_weights()
        x, y = self._x[:number], self._y[:number]
        correlations = {}
        for column, layers in RANDOMIZED.items():
            evaluation.randomize(self._model, self._fresh, layers)
            statistics = CutClassifier(self._model, layer).statistics(self._reference)
            correlations[column] = {
                name: evaluation.rank_correlations(
                    found[name][:number], function(x, y, *statistics).values
                )
                for name, (function, _) in own.items()
            }
        self._model.set_weights(trained)
        print(f"{layer}, random weights: done", flush=True)
        return correlations


def _mean(name, values):
    """Return the columns of a mean and its standard error, as pairs."""
    return (name, f"{values.mean():.4f}"), (f"{name}_error", f"{standard_error(values):.4f}")


def _less(values, others):
    """Return the columns of the differences from the first method, image by image."""
    return {
        key: text
        for name, one in values.items()
        for key, text in _mean(f"{name}_less_amplitude", one - others[name])
    }


def check_layers(model, layers):
    """Return layers with the pixels before them, or raise a ValueError if one is unknown."""
    names = [one.name for one in model.layers if len(one.output.shape) == 4]
    unknown = [name for name in layers if name not in names]
    if unknown:
        raise ValueError(
            f"A layer must be one of the classifier with maps as output: {', '.join(names)}. "
            f"Received: {', '.join(unknown)}"
        )
    return [PIXELS, *layers]
