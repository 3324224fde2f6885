"""EveryLoss: count the loss of each call of a layer exactly once."""

import weakref

import keras

from keras_slashed.keras_faults.recurrent_call import recurrent_call


class EveryLoss:
    """Mix-in for layers whose `add_loss` must neither lose a loss on JAX nor add one twice.

    On JAX, a step of `fit` collects losses while it runs the `call` of the model. When a layer
    is called, Keras removes the losses that this layer added earlier in the same step (Keras
    3.15; issues 21605 and 22395 of Keras). A layer that is called twice would keep only the loss
    of its last call. This class therefore keeps every loss that still exists. A step starts
    without losses in any case, and a deleted loss is removed when it is deleted.

    The removal is also necessary for another reason. Keras identifies the losses of a layer by
    their `id`. A new loss in the memory of a deleted one would be attributed to the other layer,
    and would be missing from the step, or from all steps of a trace.
    """

    def add_loss(self, loss):
        """Add a loss, unless a recurrent layer calls only to find the shape of the outputs."""
        if recurrent_call() == "shape":
            return
        super().add_loss(loss)
        ids = self._ids_of_losses()
        if ids is not None:
            for value in keras.tree.flatten(loss):
                # Remove the `id` immediately, before another object can have it.
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
        # The set is private. A Keras version without it may not have these faults.
        return getattr(self, "_loss_ids", None) if keras.backend.backend() == "jax" else None
