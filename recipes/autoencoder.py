"""Trains an autoencoder and compares it with PCA of the same dimension."""

import numpy as np

from harness.runner import Recipe


class Autoencoder(Recipe):
    flags = {
        "epochs": 200,
        "steps_per_execution": 11,
        "network": ("dense", "kind of networks", ("conv", "dense")),
        "latent_dim": (8, "size of the code"),
        "width": (32, "channels of the first convolution"),
        "hidden": (512, "units of the first dense layer, halved in each further layer"),
        "layers": (2, "hidden layers of dense networks"),
        "activation": ("relu", "activation of the hidden layers"),
        "noise": (0.0, "standard deviation of the noise on training data"),
        "learning_rate": (1e-3, "learning rate of Adam"),
    }

    def build(self, source):
        """Returns a compiled autoencoder, denoising if noise is asked for."""
        from keras_gen import layers, models, networks

        args = self.args
        common = {"activation": args.activation, "variational": False}
        if args.network == "conv" and len(source.shape) == 3:
            pair = networks.conv_autoencoder(
                source.shape, args.latent_dim, args.width, **common
            )
        else:
            widths = tuple(args.hidden // 2**i for i in range(args.layers))
            pair = networks.mlp_autoencoder(
                source.shape, args.latent_dim, widths, **common
            )
        if args.noise:
            noise = layers.GaussianNoise(args.noise)
            model = models.DenoisingAutoencoder(*pair, corruption=noise)
        else:
            model = models.Autoencoder(*pair)
        return self.compile(model)

    def report(self, model, source):
        """Returns squared errors of both, and how well neighbors know their class."""
        import keras
        from sklearn.decomposition import PCA

        from keras_gen import callbacks, metrics

        train = source.arrays(60_000)
        test = self.test_data()
        rows, flat = len(test), test.reshape(len(test), -1)
        components = min(self.args.latent_dim, *train.reshape(len(train), -1).shape)
        pca = PCA(components, random_state=0).fit(train.reshape(len(train), -1))
        restored = pca.inverse_transform(pca.transform(flat)).reshape(test.shape)
        ours = metrics.batched(model.reconstruct, test)
        errors = [float(np.mean((x - test) ** 2)) for x in (ours, restored)]
        numbers = {
            f"{self.split}_squared_error": errors[0],
            f"{self.split}_squared_error_pca": errors[1],
            "share_of_pca": errors[0] / errors[1],
        }
        encoder = keras.Sequential([keras.Input(source.shape)])
        if len(source.shape) == 3:
            low, high = model.network_range
            encoder.add(keras.layers.Rescaling(high - low, low))
            shown = np.concatenate([test[:16], ours[:16], restored[:16]]).clip(0, 1)
            callbacks.write_grid(self.out / "reconstructions.png", shown, min(16, rows))
            self.save_interpolations(model, source, test[:16])
        encoder.add(model.encoder)
        encoder.save(self.out / "encoder.keras")
        if source.classes and source.examples > 10:
            numbers |= self._report_classes(model, pca, source)
        return numbers

    def _report_classes(self, model, pca, source):
        """Draws the classes in two dimensions; returns 10 neighbors' accuracy."""
        from sklearn.decomposition import PCA
        from sklearn.neighbors import KNeighborsClassifier

        x, y = source.arrays(5000, labels=True)
        test_x, test_y = self.test_data(2000, labels=True)
        numbers, planes = {}, {}
        for name, encode in (
            ("code", lambda x: model.encode(x).numpy()),
            ("pca", lambda x: pca.transform(x.reshape(len(x), -1))),
        ):
            codes, test_codes = encode(x), encode(test_x)
            neighbors = KNeighborsClassifier(min(10, len(x))).fit(codes, y)
            numbers[f"{self.split}_accuracy_10_neighbors_{name}"] = neighbors.score(
                test_codes, test_y
            )
            if codes.shape[1] > 2:
                test_codes = PCA(2, random_state=0).fit(codes).transform(test_codes)
            planes[name] = test_codes
        if min(plane.shape[1] for plane in planes.values()) == 2:
            _draw_classes(self.out / "classes.png", planes, test_y)
        return numbers


def _draw_classes(path, planes, y):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), dpi=100, layout="constrained")
    titles = {"code": "autoencoder", "pca": "PCA"}
    for panel, (name, points) in zip(
        figure.subplots(1, 2), planes.items(), strict=True
    ):
        dots = panel.scatter(*points.T, c=y, cmap="tab10", s=4)
        panel.set(title=titles[name], xticks=[], yticks=[])
    figure.colorbar(dots, ax=panel, label="class")
    figure.savefig(path)


if __name__ == "__main__":
    Autoencoder(__doc__).run()
