"""Workarounds for faults and gaps of Keras, seen with Keras 3.12 to 3.15.1.

Remove a module when Keras no longer needs it. To find out, apply the change after "Try" with
the newest Keras and with the oldest supported one. If the tests pass, remove the module.

- `every_loss`: on JAX, a layer that is called twice in a step keeps only the loss of its last
  call, and a deleted loss can hide another one with the same `id`.
  Issue 21605, closed by 22395, which fixed neither. Try an empty class: `test_lost_losses.py`.
- `recurrent_call`: a traced loop over time discards losses, and the call that a recurrent
  layer makes to find a shape adds one.
  Issue 15332, of Keras 2, closed. Try to return None: `test_recurrent_call.py`.
- `export_format`: a layer cannot find out that it is exported, and to what format.
  Not filed. Try to ask Keras instead of reading the stack: `test_export.py`.
- `shared_layer`: a layer in the configurations of two others is saved twice, and loading fails.
  Not filed. Try `keras.saving.serialize_keras_object` alone: `test_rates.py`.
- `symbolic_operands`: a JAX array on the left of an operator refuses a symbolic tensor on its
  right. Not filed. Try to return the tensors as they are: `test_amplitude.py`.
- `unharmed_predict`: on JAX, an error in `predict` leaves the variables of a model without
  values. Not filed; 21019 fixed `fit`. Try a context that does nothing: `test_calibration.py`.

Some workarounds are not modules of their own:

- `layers.amplitude_layer.compute_output_spec`: Keras does not trace the `call` of a layer that
  defines `compute_output_shape`. Not filed, since it is intended. Also, Keras marks `2.0 * x`
  as sparse if x is symbolic and dense. Not filed. Try without `_dense`: `test_lost_losses.py`.
- `backend.replicas_tensorflow.kept_losses`: the replicas of a `MirroredStrategy` clear the
  losses of one another. Not filed. Try a context that does nothing: `test_synchronized.py`.
- `callbacks.rate_monitor._another_test_function`: on JAX, a test function made with `force=True`
  may use the trace of the one before, since `jax.jit` finds their steps equal. Not filed. Try to
  leave `model.test_step` as it is: `test_rate_monitor.py`.
- `callbacks.schedule`, `callbacks.geco`: on JAX, `fit` keeps the state outside of variables.
  Issue 19054, closed: a callback must read `self.model` first, which is now the rule.
"""
