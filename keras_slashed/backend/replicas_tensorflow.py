"""Replicas of a `tf.distribute` strategy, as `MirroredStrategy` runs them."""

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


def replica_index():
    """Return the number of this replica among all: an integer or a scalar tensor."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return 0
    return context.replica_id_in_sync_group
