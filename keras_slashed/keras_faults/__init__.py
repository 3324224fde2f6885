"""Ways around faults and gaps of Keras, seen with Keras 3.12 to 3.15.1.

A module goes when Keras no longer needs it: do what stands under "Try" with the newest Keras
and with the oldest that is supported, and remove the module if the tests hold.

- `every_loss`: on JAX a layer that is called twice in a step keeps the loss of its last call,
  and a loss that is gone can hide another of the same `id`.
  Issue 21605, closed by 22395, which left both. Try an empty class: `test_lost_losses.py`.
- `recurrent_call`: no loss gets out of a loop over time that is traced, and the call that a
  recurrent layer makes for a shape adds one.
  Issue 15332, of Keras 2, closed. Try to return None: `test_recurrent_call.py`.
- `export_format`: a layer is not told that it is exported, and to what format.
  Not filed. Try to ask Keras in place of the stack: `test_export.py`.
- `shared_layer`: a layer in the configurations of two others is saved twice, and not loaded.
  Not filed. Try `keras.saving.serialize_keras_object` alone: `test_rates.py`.
- `unharmed_predict`: on JAX an error in `predict` leaves a model's variables without values.
  Not filed; 21019 mended `fit`. Try a context that does nothing: `test_calibration.py`.

Some are no modules of their own:

- `layers.amplitude_layer.compute_output_spec`: Keras does not trace the `call` of a layer that
  has a `compute_output_shape`. Not filed: it is meant so. And `2.0 * x` is sparse where x is
  symbolic and dense. Not filed. Try without `_dense`: `test_lost_losses.py`.
- `backend.replicas_tensorflow.kept_losses`: the replicas of a `MirroredStrategy` clear the
  losses of one another. Not filed. Try a context that does nothing: `test_synchronized.py`.
- `callbacks.schedule`, `callbacks.geco`: on JAX `fit` keeps the state outside of variables.
  Issue 19054, closed: a callback reads `self.model` first, which is the rule now.
"""
