"""The flows of `normflows_flows.py` in normflows: `python normflows_torch.py SETTINGS`.

`normflows_flows.py` starts it, with any interpreter that has PyTorch and normflows.
SETTINGS is JSON. The script prints a line of JSON, with its versions and how many
weights the flow has. Then, for every line that comes in, `train` or `sample`, it does
the work once and prints the seconds and those of the processors.
"""

import importlib.metadata
import json
import os
import sys
import time

import normflows as nf
import numpy as np
import torch


def glow(settings):
    """Returns a Glow of the library's own blocks."""
    channels, side = settings["shape"][2], settings["shape"][0]
    levels, bases, merges, flows = settings["levels"], [], [], []
    for level in range(levels):
        # From the codes' side: the coarsest level first.
        size = channels * 2 ** (levels + 1 - level)
        steps = [
            nf.flows.GlowBlock(size, settings["width"], scale_map="exp", use_lu=True)
            for _ in range(settings["depth"])
        ]
        flows.append([*steps, nf.flows.Squeeze()])
        if level > 0:
            merges.append(nf.flows.Merge())
            shape = (size // 2, *[side // 2 ** (levels - level)] * 2)
        else:
            shape = (size, *[side // 2**levels] * 2)
        bases.append(nf.distributions.GlowBase(shape))
    return nf.MultiscaleFlow(bases, flows, merges, class_cond=False)


def realnvp(settings):
    """Returns a RealNVP for vectors, of affine couplings that swap their halves."""
    (size,) = settings["shape"]
    half, width, flows = size // 2, settings["width"], []
    for _ in range(settings["depth"]):
        network = nf.nets.MLP([half, width, width, size], init_zeros=True)
        flows += [
            nf.flows.AffineCouplingBlock(network),
            nf.flows.Permute(size, mode="swap"),
        ]
    base = nf.distributions.base.DiagGaussian(size, trainable=False)
    return nf.NormalizingFlow(base, flows)


def main():
    """Answers the lines that come in."""
    settings = json.loads(sys.argv[1])
    torch.set_num_threads(settings["threads"])
    torch.manual_seed(0)
    model = {"glow": glow, "realnvp": realnvp}[settings["kind"]](settings)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device)
    image = len(settings["shape"]) == 3
    batch, steps = settings["batch"], settings["steps"]
    x = np.random.default_rng(0).random((batch * steps, *settings["shape"]), "float32")
    x = torch.from_numpy(x.transpose(0, 3, 1, 2).copy() if image else x).to(device)
    with torch.no_grad():
        model.forward_kld(x[:batch])  # sets what depends on data
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4)

    def train():
        for i in range(steps):
            optimizer.zero_grad()
            loss = model.forward_kld(x[i * batch : (i + 1) * batch])
            loss.backward()
            optimizer.step()
        return loss.item()

    def sample():
        with torch.no_grad():
            for _ in range(steps):
                last = model.sample(batch)[0]
        return last.sum().item()

    about = {
        name: importlib.metadata.version(name) for name in ("torch", "normflows")
    } | {"weights": sum(p.numel() for p in model.parameters() if p.requires_grad)}
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        wall, processors = time.perf_counter(), time.process_time()
        {"train": train, "sample": sample}[line.strip()]()
        print(time.perf_counter() - wall, time.process_time() - processors, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
