"""What the recipes of models with a code report."""

import types

import numpy as np
import pytest

from harness import latent
from tests.zoo import ZOO, batch


@pytest.mark.parametrize(
    ("importance", "draws", "examples"), [(latent.AFFORDED, 100, 3), (4, 4, 6)]
)
def test_the_bound_of_as_many_examples_as_are_affordable(importance, draws, examples):
    model, x = ZOO["VAE"](), batch("VAE", 6)
    recipe = latent.LatentRecipe("A recipe.")
    recipe.args = types.SimpleNamespace(importance=importance, likelihood="bernoulli")
    recipe.split = "test"
    recipe.test_data = lambda labels: x
    recipe.affordable = lambda n, cost: 3 if (n, cost) == (6, 101) else None
    found = recipe.report_bounds(model)
    assert found["test_nll_examples"] == examples
    some = x[:examples]
    nats = -model.iwae(some, draws, seed=0).numpy()
    assert found[f"test_nll_nats_k{draws}"] == pytest.approx(nats.mean())
    error = 2.0 * nats.std() / np.sqrt(examples)
    assert found["test_nll_two_standard_errors"] == pytest.approx(error)
    elbo = model.elbo(x, seed=0).numpy().mean()
    assert found["test_elbo_nats"] == pytest.approx(elbo)
