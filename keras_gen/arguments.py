"""The one place that checks constructors' arguments, in Keras's words."""

import numbers


def require_argument(condition, name, must, received):
    """Raises ValueError unless an argument is as it must be.

    Args:
        condition: Boolean.
        name: The argument's name.
        must: How it must be, such as "non-negative".
        received: Its value.
    """
    if not condition:
        raise ValueError(
            f"Argument `{name}` must be {must}. Received: {name}={received}"
        )


def require_int(name, value, least=None):
    """Returns an argument that must be an integer.

    Args:
        name: The argument's name.
        value: Its value.
        least: The smallest that it may be. Defaults to `None`: any.
    """
    is_int = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    require_argument(is_int, name, "an integer", repr(value))
    if least is not None:
        must = {0: "non-negative", 1: "positive"}.get(least, f"at least {least}")
        require_argument(value >= least, name, must, value)
    return int(value)


def require_one_of(name, value, choices, of=""):
    """Returns an argument that must be one of several values.

    Args:
        name: The argument's name.
        value: Its value.
        choices: What it may be.
        of: A suffix that says where the choices apply, such as " for texts". Defaults
            to `""`.
    """
    must = f"one of {', '.join(map(repr, choices))}{of}"
    require_argument(value in choices, name, must, repr(value))
    return value
