"""Where batches come from: embedded sets, TFDS names and folders of images.

`load` finds a data set by name and `from_array` wraps one in memory. Both give a
`Source`, whose batches are a pure function of (seed, step): a run that stops can go
on at any step with the very batches it would have seen.
"""

from keras_gen.data.array import from_array
from keras_gen.data.catalogue import load
from keras_gen.data.density import DENSITIES, Density2D
from keras_gen.data.source import Source
from keras_gen.data.sprites import Sprites, SpriteSource
