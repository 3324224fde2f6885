"""Train the model of a setting, or load it if its weights are there."""

import shutil

import keras

from applications.compress.block_vae import BlockVAE
from applications.compress.block_vae import reconstruction
from applications.experiment import claims
from applications.experiment import sealed_weights
from applications.experiment.resumable_training import RowFiles
from applications.experiment.resumable_training import train_row
from applications.training.epoch_seeds import ShuffledBatches
from applications.training.optimizers import one_cycle


def trained(setting, pictures, output, report=lambda epoch, logs: None, checkpoint_seconds=20.0):
    """Return the trained model of a setting.

    In the output folder, a model in training has `checkpoints/<label>` and
    `history/<label>.csv`, with a line for each epoch. A trained model has
    `models/<label>.weights.h5`. A training that was killed continues from its last checkpoint.

    Args:
        setting: `CoderSetting` of the model.
        pictures: `Pictures` to train on.
        output: String or path. The output folder.
        report: Function of the number of finished epochs and the logs of the last one. It is
            called once at the start and after every epoch.
        checkpoint_seconds: Float. Minimum time between two checkpoints.

    Returns:
        `BlockVAE`, and the path of its weights.

    Raises:
        ValueError: If the weights are damaged.
    """
    keras.utils.set_random_seed(setting.seed)
    vae = BlockVAE(setting, pictures.train.shape[1:])
    files = RowFiles(output, setting, pictures.sha256)
    if not files.model.exists():
        with claims.claim(files.checkpoints, wait=True):
            if not files.model.exists():  # another command may have trained it in the meantime
                _train(vae, pictures, files, report, checkpoint_seconds)
                sealed_weights.save(vae.training, files.model)
            shutil.rmtree(files.checkpoints, ignore_errors=True)
    sealed_weights.check(files.model)
    vae.training.load_weights(files.model)
    return vae, files.model


def _train(vae, pictures, files, report, checkpoint_seconds):
    setting = vae.setting
    batches = ShuffledBatches(pictures.train, pictures.train, setting.batch_size, setting.seed)
    rate = one_cycle(setting.learning_rate, setting.epochs * len(batches))
    vae.training.compile(keras.optimizers.Adam(rate), reconstruction(setting))
    vae.training.optimizer.build(vae.training.trainable_variables)
    train_row(vae.training, batches, files, checkpoint_seconds, report)
