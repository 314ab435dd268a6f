"""Base classes for recipes of adversarial models: networks, optimizers, report."""

from harness import classification
from harness.latent import save_classes
from harness.runner import Recipe


class AdversarialRecipe(Recipe):
    """A recipe with a generator, a discriminator, and one optimizer for each."""

    flags = {
        "epochs": 200,
        "ema": 0.99,
        "latent_dim": (64, "size of the latent code"),
        "width": (32, "channels of the networks' outermost layers"),
        "learning_rate": (2e-4, "learning rate of the generator's optimizer"),
        "discriminator_rate": (2e-4, "learning rate of the discriminator's optimizer"),
    }

    def networks(self, source, critic=False):
        """Returns a generator and a discriminator for images, or for 2-D points.

        Args:
            source: The data.
            critic: Whether the discriminator has no batch normalization. Defaults to
                `False`.
        """
        from keras_gen import networks

        args = self.args
        if len(source.shape) == 3:
            return networks.dcgan(source.shape, args.latent_dim, args.width, critic)
        return networks.mlp_gan(source.shape, args.latent_dim)

    def compile(self, model, kind="Adam", **arguments):
        """Compiles a model with an optimizer for each network and returns it.

        Args:
            model: A model of a generator and a discriminator.
            kind: The class name of the optimizers. Defaults to `"Adam"`.
            **arguments: The optimizers' arguments, except for the learning rate.
        """
        rate = self.args.discriminator_rate
        model.compile(
            self.optimizer(kind, self.args.learning_rate, **arguments),
            discriminator_optimizer=self.optimizer(
                kind, rate, averages=False, **arguments
            ),
            **self.compile_options,
        )
        return model

    def batches_per_step(self):
        """Returns the number of batches per step: one for each update of D."""
        return getattr(self.args, "discriminator_steps", 1)

    def callbacks(self, model, source):
        """Returns a callback that warns when training fails."""
        from keras_gen import callbacks, data

        given = source.arrays(256, labels=model.needs_labels)
        x, y = given if model.needs_labels else (given, None)
        density = None
        if self.args.dataset in ("grid25", "ring8"):
            density = data.Density2D.named(self.args.dataset)
        return [callbacks.GANHealth(x, y, density=density)]

    def report(self, model, source):
        """Returns the loss terms on unseen data; writes a picture of interpolations."""
        self.save_interpolations(model, source)
        return self.evaluate(model, self.test_data())

    def evaluate(self, model, *data):
        """Returns the model's loss terms on unseen data."""
        numbers = model.evaluate(*data, verbose=0, return_dict=True)
        return {f"{self.split}_{name}": value for name, value in numbers.items()}


class CriticRecipe(AdversarialRecipe):
    """A recipe with a critic, whose scores estimate a distance."""

    def report(self, model, source):
        """Returns the terms, and the estimated distance to unseen data."""
        numbers = super().report(model, source)
        real, fake = (numbers[f"{self.split}_{k}_score"] for k in ("real", "fake"))
        return {f"{self.split}_wasserstein_estimate": real - fake, **numbers}


class ConditionalRecipe(AdversarialRecipe):
    """A recipe with a class-conditional generator."""

    flags = {
        "learning_rate": 1e-3,
        "hidden": (512, "units of a dense layer in each network; 0: none"),
        "neighbors": (
            0,
            "samples for classifying unseen data by nearest neighbors; 0: none",
        ),
        "generator_conditioning": (
            "concatenation",
            "how the generator is conditioned on the class",
            ("concatenation", "embedding", "normalization"),
        ),
    }

    def report(self, model, source):
        """Returns the loss terms on unseen data, and a classifier's scores of samples.

        With `--neighbors n`, unseen data are also classified by nearest neighbors among
        n samples.
        """
        args, test = self.args, self.test_data(labels=True)
        save_classes(self, model, source)
        self.save_interpolations(model, source)
        numbers = self.evaluate(model, *test)
        numbers |= classification.evaluate_with_classifier(
            model, source, test, args.seed
        )
        n = args.neighbors
        if n:
            error = classification.neighbor_error(model, test, n, args.seed)
            numbers[f"{self.split}_error_of_{n}_samples"] = error
        return numbers


AUGMENTATION = (0.0, "strength of the random affine maps of all inputs of D")


def augmentation(strength):
    """Returns the layer for `--augmentation`, or `None` if the strength is zero.

    Args:
        strength: Float, the flag's value.

    At 1 it rotates by up to 14 degrees, shears by up to .4, scales by up to a fifth and
    shifts by up to a twelfth of the image.
    """
    from keras_gen import layers

    if not strength:
        return None
    return layers.RandomAffine(
        0.25 * strength, 0.4 * strength, 0.2 * strength, 0.08 * strength
    )
