"""Classes that Keras finds in files before they have been imported."""

import importlib
import importlib.abc
import importlib.util
import sys

# Classes that a saved file may start with, by subpackage; they import all others.
_CLASSES = {
    "layers": """
        AdaptiveInstanceNormalization BicubicUpSampling CausalConv1D CausalSelfAttention
        Clip CodeEmbedding ConcatELU ConditionalBatchNormalization CrossAttention
        DiagonalBiLSTM DownConv2D DownRightConv2D Dropout EqualizedLearningRate Fade
        FiLM Gate GaussianNoise ICNR InstanceNormalization LogMel MaskedConv2D
        MaskedDense MinibatchDiscrimination MinibatchStandardDeviation
        PixelNormalization Planes Projection RandomAffine RandomLayer Recurrent
        ReflectionPadding RowLSTM Sampling ShiftDown ShiftRight
        SinusoidalEmbedding SpectralNormalization SubPixel TokenDecoder TokenEncoder
        TransformerBlock Upscale WeightNormalization
    """,
    "bijectors": """
        ActNorm AdditiveCoupling AffineCoupling BatchNorm Chain ContextScale EarlyOutput
        Equalize Flatten Invert InvertibleConv Logit MaskedAutoregressive MultiScale
        Permutation Planar Radial Scale SplineAutoregressive SplineCoupling Squeeze
    """,
    "models": """
        ACGAN Autoencoder Autoregressive BetaTCVAE BetaVAE BiGAN CGAN CVAE CVAEGAN
        CharRNN CycleGAN DBM DCGAN DenoisingAutoencoder FactorVAE Flow GAN GatedPixelCNN
        Glow IAF IWAE ImageRegression InfoGAN LSGAN MADE MAF NICE NeuralSplineFlow
        PacGAN Pix2Pix PixelCNN PixelCNNPP PixelRNN ProgressiveGAN RBM RealNVP
        RelativisticGAN SGAN SNGAN SRGAN Seq2Seq StyleTransfer VAE VAEGAN WGAN WGANGP
        WaveGlow
    """,
}


class _Unimported:
    """Stands for a class until a file asks for it.

    Args:
        subpackage: The part of the package that the class is in.
        name: The class's name.
    """

    def __init__(self, subpackage, name):
        self.subpackage, self.name = subpackage, name

    def from_config(self, config):
        """Imports the class, which takes this place, and makes what is described."""
        subpackage = importlib.import_module(f"keras_gen.{self.subpackage}")
        return getattr(subpackage, self.name).from_config(config)


class _WithKeras(importlib.abc.MetaPathFinder):
    """Announces the classes at the moment when Keras has been imported."""

    def find_spec(self, name, path=None, target=None):
        """Lets Keras be imported as usual."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None:
            run = spec.loader.exec_module

            def run_and_announce(module):
                run(module)
                _announce()

            spec.loader.exec_module = run_and_announce
        return spec


def _announce():
    keras = importlib.import_module("keras")
    objects = keras.saving.get_custom_objects()
    for subpackage, names in _CLASSES.items():
        for name in names.split():
            objects.setdefault(f"keras_gen>{name}", _Unimported(subpackage, name))


def announce():
    """Makes the classes known to `keras.models.load_model`, without importing them.

    Keras asks a table of its own, which a class enters when it is imported. Here the
    names enter it first, now or as soon as Keras is there.
    """
    if "keras" in sys.modules:
        _announce()
    else:
        sys.meta_path.insert(0, _WithKeras())
