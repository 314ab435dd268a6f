"""Installs keras_gen."""

import pathlib
import re

from setuptools import find_packages, setup

HERE = pathlib.Path(__file__).parent
INIT = (HERE / "keras_gen" / "__init__.py").read_text()

setup(
    name="keras-gen",
    version=re.search(r'__version__ = "(.+)"', INIT).group(1),
    description="Generative models for Keras 3: fit them, export them, take them apart",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["keras_gen", "keras_gen.*"]),
    python_requires=">=3.11,<3.14",
    install_requires=[
        "keras>=3.15,<4",
        "tensorflow>=2.21,<2.22",
        # TensorFlow Probability asks for tf-keras in this extra alone, of
        # TensorFlow's own version.
        "tensorflow-probability[tf]>=0.25,<0.26",
        "tf-keras>=2.21,<2.22",
        "tensorflow-datasets>=4.9.10",
        "importlib_resources>=6",  # TensorFlow Datasets imports it, undeclared
        "tensorboard>=2.20",  # tf.summary needs it; TensorFlow no longer brings it
        "numpy>=2.0",
        "scipy>=1.13",
        "scikit-learn>=1.6",
        "matplotlib>=3.9",
    ],
    extras_require={"test": ["pytest>=8", "pytest-xdist>=3.6", "ruff==0.17.5"]},
    classifiers=[
        "License :: OSI Approved :: Apache Software License",
        "Programming Language :: Python :: 3",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
