"""EveryLoss: what a layer adds to the loss counts, in every call and for that layer alone."""

import weakref

import keras

from keras_slashed.keras_faults.recurrent_call import recurrent_call


class EveryLoss:
    """Mix-in of layers whose `add_loss` loses nothing on JAX, and adds nothing twice.

    On JAX a step of `fit` collects losses while it runs the model's own `call`, and each
    layer of the model, as it is called, takes back what it added before in the same step
    (Keras 3.15; issues 21605 and 22395 of Keras). A layer that is called twice would keep
    the loss of its last call. So here a layer forgets no loss that is still alive: a step
    begins with none in any case, and one that is gone is forgotten as it goes.

    The latter matters in itself, since Keras knows the losses of a layer by their `id`: a
    loss in the memory of another that is gone would be taken for that other layer's, and
    be missing from the step, or from all steps of a trace.
    """

    def add_loss(self, loss):
        """Add a loss, unless a recurrent layer calls for the shape of the outputs alone."""
        if recurrent_call() == "shape":
            return
        super().add_loss(loss)
        ids = self._ids_of_losses()
        if ids is not None:
            for value in keras.tree.flatten(loss):
                # At once, before anything else can have its `id`.
                weakref.finalize(value, ids.discard, id(value)).atexit = False

    def _clear_losses(self):
        ids = self._ids_of_losses()
        alive = list(ids or ())
        if alive:
            ids.clear()
        super()._clear_losses()
        if alive:
            ids.update(alive)

    def _ids_of_losses(self):
        # Private: another Keras may have no such set, and neither fault.
        return getattr(self, "_loss_ids", None) if keras.backend.backend() == "jax" else None
