"""Monitoring of posterior collapse during training."""

import csv
import math
import pathlib
import warnings

import numpy as np
import tensorflow as tf
from keras import ops

from keras_gen import metrics
from keras_gen.callbacks.periodic import Periodic
from keras_gen.losses import gaussian_kl

_LOGGED = ("active_units", "mutual_information", "kl")


class CollapseMonitor(Periodic):
    """Measures how much of its code a variational model uses; warns of collapse.

    At the end of some epochs, including the first and the last, it computes on data x
    and adds to the logs `active_units`, `mutual_information` (nats, at most log n for n
    examples) and `kl` (nats, the sum over dimensions); they are NaN in other epochs.
    With `folder` the KL of every dimension, in the order of the code, is written to
    `latents.csv` and, as a histogram, to TensorBoard.

    It warns once, when a tenth of the units or fewer are active, or half of the largest
    number so far or fewer. Place it before callbacks that write the
    logs, such as `CSVLogger`.

    Args:
        x: Data, about a thousand examples from the training or validation set.
        y: Their contexts, for a conditional model. Defaults to `None`.
        every: Epochs between measurements. Defaults to `None`: a tenth of all epochs,
            so that the total cost does not grow with their number.
        threshold: The variance over data of a unit's posterior mean above which it is
            active. Defaults to `0.01`.
        folder: The folder for `latents.csv` and TensorBoard's logs. Defaults to `None`:
            nothing is written.
        patience: Epochs before the first warning, because all units start inactive.
            Defaults to `2`.

    Example:

    >>> x = data.load("digits").arrays(200)
    >>> vae = models.BetaVAE(*networks.mlp_autoencoder((8, 8, 1), 4), beta=1.0)
    >>> vae.compile("adam")
    >>> monitor = CollapseMonitor(x, patience=10)
    >>> "active_units" in vae.fit(x, verbose=0, callbacks=[monitor]).history
    True

    Reference: [Burda et al., 2016](https://arxiv.org/abs/1509.00519)
    """

    def __init__(self, x, y=None, every=None, threshold=0.01, folder=None, patience=2):
        super().__init__(every)
        self.x, self.y = x, y
        self.threshold = threshold
        self.folder = None if folder is None else pathlib.Path(folder)
        self.patience = patience
        self.most = 0
        self.warned = False
        self.kl_per_dimension = None
        self._writer = None

    def set_model(self, model):
        """Rejects a model without a posterior."""
        if not hasattr(model, "posterior_parameters"):
            raise TypeError(
                "`CollapseMonitor` watches variational models, which have a posterior. "
                f"Received: {type(model).__name__}"
            )
        super().set_model(model)

    def on_epoch_end(self, epoch, logs=None):
        """Measures, logs, and warns if units have become inactive."""
        if not self.is_time(epoch):
            if logs is not None:
                logs.update(dict.fromkeys(_LOGGED, math.nan))
            return
        mean, log_var = self._posteriors()
        active = metrics.active_units(mean, self.threshold)
        self.kl_per_dimension = self._kl(mean, log_var)
        if logs is not None:
            information = metrics.mutual_information(mean, log_var)
            values = active, information, float(np.sum(self.kl_per_dimension))
            logs.update(zip(_LOGGED, values, strict=True))
        if self.folder is not None:
            self._write(epoch)
        self._judge(epoch, active, mean.shape[1])

    def _posteriors(self):
        rows = []
        for start in range(0, len(self.x), 256):
            part = slice(start, start + 256)
            y = None if self.y is None else self.y[part]
            parameters = self.model.posterior_parameters(
                ops.convert_to_tensor(self.x[part], "float32"), y
            )
            rows.append([tensor.numpy() for tensor in parameters])
        return (np.concatenate(column) for column in zip(*rows, strict=True))

    def _kl(self, mean, log_var):
        """Returns the mean KL of each dimension, to the prior given the context.

        With a posterior flow it is that of the flow's base distribution, because a
        flow's KL does not split by dimension.
        """
        context = None if self.y is None else self.model.as_context(self.y)
        kl = gaussian_kl(mean, log_var, *self.model.prior_parameters(context))
        return kl.numpy().mean(axis=0)

    def _judge(self, epoch, active, dimensions):
        self.most = max(self.most, active)
        few = active <= max(1, dimensions // 10) or active <= self.most // 2
        if few and not self.warned and epoch + 1 >= self.patience:
            self.warned = True
            warnings.warn(
                f"Posterior collapse: {active} of {dimensions} latent units carry "
                "information; anneal the divergence (`KL(LinearSchedule(0, 1, "
                "steps))`), give it free bits (`FreeBits`), lower beta, or weaken the "
                "decoder.",
                stacklevel=2,
            )

    def _write(self, epoch):
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "latents.csv"
        new = not path.exists() or epoch == 0
        with path.open("w" if new else "a", newline="") as file:
            writer = csv.writer(file)
            if new:
                names = (f"kl_{d}" for d in range(len(self.kl_per_dimension)))
                writer.writerow(["epoch", *names])
            writer.writerow([epoch, *(f"{v:.5g}" for v in self.kl_per_dimension)])
        self._writer = self._writer or tf.summary.create_file_writer(str(self.folder))
        with self._writer.as_default():
            tf.summary.histogram("kl_per_dimension", self.kl_per_dimension, step=epoch)

    def on_train_end(self, logs=None):
        """Closes the TensorBoard file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
