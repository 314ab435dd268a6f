"""Where batches come from: embedded sets, TFDS names, folders, sounds and texts.

`load` finds a dataset by name, `load_audio` one of sounds, `load_text` and
`load_pairs` those of characters, `load_image_pairs` one of images to translate;
`from_array` and `from_tokens` wrap one in memory, `ImagePairs` pairs two of them, and
`low_resolution` gives the pairs of super-resolution.
Each gives a `Source`, whose `space` says what its data are, and whose batches are a
pure function of (seed, step): an interrupted run can continue at any step with the very
batches it would have seen.
"""

from keras_gen.data.array import from_array
from keras_gen.data.audio import load_audio, read_wav, write_wav
from keras_gen.data.catalog import load
from keras_gen.data.density import DENSITIES, Density2D
from keras_gen.data.image_pairs import ImagePairs
from keras_gen.data.low_resolution import low_resolution
from keras_gen.data.markov import HiddenMarkov, letter_pairs, misspelled_words
from keras_gen.data.pair_catalog import load_image_pairs
from keras_gen.data.pairs import load_pairs, spelled_out
from keras_gen.data.perturbation import Mutation, RandomSimplification
from keras_gen.data.source import Source
from keras_gen.data.space import Audio, Codes, Images, Points, Space, Tokens, Video
from keras_gen.data.sprites import Sprites, SpriteSource
from keras_gen.data.text import load_text
from keras_gen.data.tokens import TokenSource, from_tokens
from keras_gen.data.tones import Tones, ToneSource
