"""What is said of an argument that is not as it must be."""

import numpy as np
import pytest

from keras_gen.arguments import require_argument, require_int, require_one_of


def test_an_argument_that_is_as_it_must_be_comes_back():
    require_argument(True, "beta", "non-negative", 1.0)
    assert require_int("steps", np.int64(3), least=1) == 3
    assert require_one_of("kind", "a", ("a", "b")) == "a"


@pytest.mark.parametrize(
    ("value", "least", "must"),
    [
        (1.5, None, "an integer. Received: steps=1.5"),
        (True, None, "an integer. Received: steps=True"),
        ("3", None, "an integer. Received: steps='3'"),
        (-1, 0, "non-negative. Received: steps=-1"),
        (0, 1, "positive. Received: steps=0"),
        (2, 3, "at least 3. Received: steps=2"),
    ],
)
def test_integers(value, least, must):
    with pytest.raises(ValueError, match=f"Argument `steps` must be {must}"):
        require_int("steps", value, least)


def test_one_of_several():
    message = "Argument `kind` must be one of 'a', 'b' for x. Received: kind='c'"
    with pytest.raises(ValueError, match=message):
        require_one_of("kind", "c", ("a", "b"), " for x")
