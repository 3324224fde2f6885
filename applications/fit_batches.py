"""Batches for `fit`, which on TensorFlow is not to wait at the end of an epoch."""

import keras


def for_fit(batches):
    """Return batches as `fit` is to get them: on TensorFlow as a `tf.data.Dataset`.

    Keras makes one of a `PyDataset` there too, but one that tf.data tunes as it runs, by a
    thread that sleeps for 10 ms and then twice as long each time, up to a minute. Now and
    then the end of an iterator waits until that thread wakes: with TensorFlow 2.21, of eight
    calls of `fit` that compute for 6.4 s five took 10.2 s. What is returned is not tuned.

    Args:
        batches: A `keras.utils.PyDataset` of tuples of arrays, whose number of batches does
            not change, nor the arrays' dtypes and numbers of axes. It shuffles itself, in
            `set_epoch` or `on_epoch_begin`, and `fit` is told `shuffle=False`.
    """
    if keras.backend.backend() != "tensorflow":
        return batches
    import tensorflow as tf

    def epoch():
        batches.on_epoch_begin()
        for index in range(len(batches)):
            yield batches[index]
        batches.on_epoch_end()

    signature = tuple(tf.TensorSpec([None] * x.ndim, x.dtype) for x in batches[0])
    dataset = tf.data.Dataset.from_generator(epoch, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(len(batches)))
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.prefetch(1).with_options(options)
