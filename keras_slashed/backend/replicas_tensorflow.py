"""Replicas of a `tf.distribute` strategy such as `MirroredStrategy`."""

import contextlib

import tensorflow as tf


def sum_over_replicas(x):
    """Return the sum of a tensor over all replicas, whose gradient is also summed over them."""
    context = tf.distribute.get_replica_context()
    # It is None in the scope of a strategy outside of `run`, for example when a model is built.
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_reduce(tf.distribute.ReduceOp.SUM, x)


# All replicas write to one mirrored variable and take their steps together.
sum_over_mirrored_replicas = sum_over_replicas


def gather_from_mirrored_replicas(x):
    """Return the rows of all replicas, in the order of the replicas."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return x
    return context.all_gather(x, axis=0)


@contextlib.contextmanager
def kept_losses(layer):
    """Keep the losses of this replica while the replicas wait for one another.

    The replicas run in threads, one at a time, which alternate where they exchange numbers. All
    of them call the same layers. Each replica clears the losses of the model when it starts,
    including those of a waiting replica. Without this context, the waiting replica would lose
    the gradient of its own losses and would count those of the others.
    """
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        yield
        return
    model = layer._get_call_context().entry_layer  # private, since there is no public access
    before = [(part, list(part._losses)) for part in model._flatten_layers()]
    yield
    for part, losses in before:
        part._losses.clear()
        part._losses.extend(losses)


def replica_index():
    """Return the index of this replica, an integer or a scalar tensor."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return context.replica_id_in_sync_group
