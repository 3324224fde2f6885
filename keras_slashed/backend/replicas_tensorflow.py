"""Replicas of a `tf.distribute` strategy, as `MirroredStrategy` runs them."""

import contextlib

import tensorflow as tf


def sum_over_replicas(x):
    """Return the sum of a tensor over all replicas, whose gradient is summed alike."""
    context = tf.distribute.get_replica_context()
    # None in a strategy's scope outside of its `run`, as where a model is built.
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


# All replicas write to one mirrored variable, and step together.
sum_over_mirrored_replicas = sum_over_replicas


def gather_from_mirrored_replicas(x):
    """Return the rows of all replicas, one replica after another."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(x, axis=0)


@contextlib.contextmanager
def kept_losses(layer):
    """Keep what `add_loss` gathered in this replica while the replicas wait for one another.

    They run in threads, one at a time, which take turns where they exchange numbers: all of
    them call the same layers, and each clears the losses of the model as it begins, those of
    a replica that waits as well. That one would lack their gradient, and count the others'.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        yield
        return
    model = layer._get_call_context().entry_layer  # private: nothing public leads there
    before = [(part, list(part._losses)) for part in model._flatten_layers()]
    yield
    for part, losses in before:
        part._losses.clear()
        part._losses.extend(losses)


def replica_index():
    """Return the number of this replica among all: an integer or a scalar tensor."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return context.replica_id_in_sync_group
