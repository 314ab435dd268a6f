"""Applies a saved model of image translation to an image file, or to a folder."""

import itertools
import pathlib
import sys

from harness.runner import Parser, import_tensorflow

EXTENSIONS = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def arguments():
    """Returns the flags' values."""
    parser = Parser(__doc__)
    parser.add_argument("model", help="a model.keras, or the folder that holds it")
    parser.add_argument("images", help="an image file, or a folder of them")
    parser.add_argument("out", help="the PNG, or the folder of PNGs, to write")
    parser.add_argument("--back", action="store_true", help="from targets to sources")
    parser.add_argument("--style", help="an image file: the style, for style transfer")
    parser.add_argument("--strength", type=float, default=1.0, help="of the style")
    parser.add_argument("--tile", type=int, default=256, help="pixels of a tile's side")
    parser.add_argument(
        "--overlap", type=int, default=64, help="pixels that tiles share"
    )
    parser.add_argument(
        "--passes",
        type=int,
        default=1,
        help="passes over an image for the statistics of instance normalization",
    )
    parser.add_argument("--seed", type=int, default=0, help="of a generator's noise")
    return parser.parse_args()


def main():
    """Translates all images, or says in one sentence why not, and exits."""
    args = arguments()
    try:
        translate_all(args)
    except (ValueError, TypeError, OSError) as error:
        print(f"translate: {str(error).strip()}", file=sys.stderr)
        sys.exit(2)


def translate_all(args):
    """Writes the translation of every image."""
    import_tensorflow()
    from keras_gen.data.progress import Progress

    files = files_of(args.images)
    translate, channels = translator(args)
    out = pathlib.Path(args.out)
    several = pathlib.Path(args.images).is_dir()
    if several:
        out.mkdir(parents=True, exist_ok=True)
    progress = Progress(len(files), len(files) > 1)
    for file in files:
        target = out / f"{file.stem}.png" if several else out
        write(target, translate(read(file, channels)))
        progress.add(1)
    print(f"wrote {out}: {len(files)} image{'s' * (len(files) > 1)}")


def files_of(name):
    """Returns the images that a path names, in order."""
    path = pathlib.Path(name)
    if path.is_dir():
        files = sorted(f for f in path.iterdir() if f.suffix.lower() in EXTENSIONS)
        if not files:
            raise ValueError(f"the folder '{path}' holds no images")
        for file, other in itertools.pairwise(sorted(files, key=lambda f: f.stem)):
            if file.stem == other.stem:
                raise ValueError(
                    f"'{file}' and '{other.name}' would both become '{file.stem}.png'"
                )
        return files
    if not path.exists():
        raise FileNotFoundError(f"there is no file or folder '{path}'")
    return [path]


def translator(args):
    """Returns a function from one image to its translation, and its channels."""
    import keras

    from keras_gen import models
    from keras_gen.models.translation import Translator

    path = pathlib.Path(args.model)
    path = path / "model.keras" if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"there is no model '{path}'")
    model = keras.models.load_model(path)
    options = {"tile": args.tile, "overlap": args.overlap, "passes": args.passes}
    if isinstance(model, models.StyleTransfer):
        if not args.style:
            raise ValueError("--style is missing: the image whose style is wanted")
        style = read(args.style, model.data_shape[-1])
        return (
            lambda x: model.translate(x[None], style[None], args.strength)[0],
            model.data_shape[-1],
        )
    if not isinstance(model, Translator):
        raise ValueError(f"'{path}' holds no model of image translation")
    if not args.back:
        channels = model.context.space.shape[-1]
        return lambda x: model.translate_image(x, seed=args.seed, **options), channels
    if not isinstance(model, models.CycleGAN):
        raise ValueError(f"'{path}' holds no CycleGAN, which alone has a way back")
    return lambda x: model.translate_image_back(x, **options), model.data_shape[-1]


def read(path, channels):
    """Returns an image in [0, 1]."""
    import tensorflow as tf

    from keras_gen.data import image

    try:
        pixels = image.decode(pathlib.Path(path).read_bytes())
    except tf.errors.InvalidArgumentError:
        raise ValueError(f"'{path}' is no image that can be read") from None
    if channels == 1 and pixels.shape[-1] == 3:
        pixels = tf.image.rgb_to_grayscale(pixels)
    elif channels == 3 and pixels.shape[-1] == 1:
        pixels = tf.image.grayscale_to_rgb(pixels)
    return tf.cast(pixels, "float32").numpy() / 255.0


def write(path, image):
    """Writes an image in [0, 1] as a PNG."""
    import numpy as np
    import tensorflow as tf

    pixels = np.round(255.0 * np.clip(image, 0.0, 1.0)).astype("uint8")
    path.write_bytes(tf.io.encode_png(pixels).numpy())


if __name__ == "__main__":
    main()
