"""Trains a WaveGlow: audio from mel spectrograms, all samples in parallel."""

import time

import numpy as np

from harness.runner import Recipe


class WaveGlow(Recipe):
    datasets = "tones, a TFDS name such as speech_commands, or a folder of WAV files"
    flags = {
        "dataset": "tones",
        "epochs": 15,
        "batch_size": 8,
        "steps_per_epoch": 100,
        "ema": 0.995,
        "samples": (2048, "samples per clip"),
        "sampling_rate": (0, "rate to resample to; 0: do not resample"),
        "groups": (16, "samples that make one step of the flow"),
        "depth": (8, "steps of the flow"),
        "width": (32, "channels of the WaveNets"),
        "layers": (5, "layers of each WaveNet"),
        "fft_length": (512, "samples in a frame of the spectrogram"),
        "hop": (64, "samples between frames"),
        "bands": (64, "mel bands"),
        "context_width": (32, "channels of the upsampled spectrogram"),
        "learning_rate": (2e-3, "learning rate of Adam"),
        "clip_norm": (1.0, "maximum norm of the gradient"),
        "temperature": (0.8, "temperature of the copies; 1: the learned density"),
        "clips": (256, "number of unseen clips to evaluate"),
    }

    def load(self, split, **options):
        from keras_gen import data

        args = self.args
        options |= {"sampling_rate": args.sampling_rate or None}
        return data.load_audio(args.dataset, split, samples=args.samples, **options)

    def build(self, source):
        """Returns a compiled WaveGlow."""
        from keras_gen import models

        args = self.args
        model = models.WaveGlow(
            source.shape,
            source.sampling_rate,
            args.groups,
            args.depth,
            args.width,
            args.layers,
            fft_length=args.fft_length,
            hop=args.hop,
            bands=args.bands,
            context_width=args.context_width,
            levels=source.levels,
        )
        return self.compile(model, global_clipnorm=args.clip_norm)

    def draw_samples(self, model, n, seed):
        """Returns spectrograms of copies of unseen clips, as images in [0, 1]."""
        mel = model.mel(self.test_data(n))
        mel = model.mel(model.vocode(mel, seed, self.args.temperature)).numpy()
        low, high = mel.min(), mel.max()
        return np.swapaxes((mel - low) / (high - low + 1e-6), 1, 2)[:, ::-1, :, None]

    def report(self, model, source):
        """Returns likelihoods, distances and speed; writes sounds and spectrograms."""
        args = self.args
        x = self.test_data(args.clips)
        draw = np.random.default_rng(args.seed)
        y = x + draw.uniform(-1, 1, x.shape) / model.levels
        noise = randomized(x, draw)
        copies = {t: copy(model, x, args.seed, t) for t in (1.0, args.temperature)}
        numbers = {
            f"{self.split}_nll_nats_per_sample": likelihood(model, y),
            **gaussians(model, source.arrays(4000), y),
            "mel_distance_db_copy": distance(model, x, copies[1.0]),
            f"mel_distance_db_copy_at_{args.temperature}": distance(
                model, x, copies[args.temperature]
            ),
            "mel_distance_db_noise": distance(model, x, noise),
            "mel_distance_db_noise_by_frame": distance(
                model, x, randomized_by_frame(x, args.fft_length, draw)
            ),
            "inversion_error": inversion_error(model, x),
            "samples_per_second": speed(model, x[:16]),
        }
        rate = numbers["samples_per_second"]
        times = rate / source.sampling_rate
        print(f"{rate:,.0f} samples per second, {times:.1f} times real time")
        shown = {"original": x, "copy": copies[args.temperature], "noise": noise}
        write_sounds(self.out / "sounds", shown, source.sampling_rate)
        draw_spectrograms(self.out / "spectrograms.png", model, shown)
        return numbers


def in_parts(function, *arrays):
    """Returns a function's values of many clips."""
    from keras_gen import metrics

    return metrics.batched(function, *arrays, size=32)


def copy(model, x, seed, temperature):
    """Returns sounds made from the spectrograms of x."""
    mel = in_parts(model.mel, x)
    return in_parts(lambda part: model.vocode(part, seed, temperature), mel)


def likelihood(model, y):
    """Returns -log p(y | its spectrogram) for each sample, in nats."""
    return -in_parts(model.log_prob, y.astype("float32")).mean() / y.shape[1]


def gaussians(model, train, y, order=32):
    """Returns what Gaussians need, fitted to training clips, in nats per sample.

    One standard deviation for all samples; a process, in which each sample is given the
    `order` before it; and one standard deviation per position, the loudness from the
    spectrogram.
    """
    from scipy import linalg

    def nats(residual, deviation):
        squares = (residual / deviation) ** 2
        return np.mean(0.5 * squares + np.log(deviation) + 0.5 * np.log(2 * np.pi))

    train, y = train[..., 0].astype("float64"), y[..., 0]
    lags = [
        np.mean(np.sum(train[:, k:] * train[:, : train.shape[1] - k], axis=1))
        for k in range(order + 1)
    ]
    lags = np.array(lags) / train.shape[1]
    weights = linalg.solve_toeplitz(lags[:-1], lags[1:])
    rest = y[:, order:] - sum(
        w * y[:, order - k : -k] for k, w in enumerate(weights, start=1)
    )
    loudness = in_parts(lambda x: model.log_loudness(model.mel(x)), y[..., None])
    loudness = np.repeat(np.exp(loudness[..., 0]), model.groups, axis=1)
    return {
        "gaussian_nll": nats(y - train.mean(), train.std()),
        "gaussian_process_nll": nats(rest, np.sqrt(lags[0] - weights @ lags[1:])),
        "gaussian_of_loudness_nll": nats(y, loudness),
    }


def distance(model, x, other):
    """Returns the mean absolute difference of two log-mel spectrograms, in decibels."""
    apart = in_parts(model.mel, x) - in_parts(model.mel, other.astype("float32"))
    return np.abs(apart).mean() * 10 / np.log(10)


def randomized(x, draw):
    """Returns noise with each clip's own spectrum: its phases are drawn anew."""
    spectrum = np.fft.rfft(x[..., 0], axis=1)
    phases = np.exp(2j * np.pi * draw.uniform(size=spectrum.shape))
    noise = np.fft.irfft(np.abs(spectrum) * phases, x.shape[1], axis=1)
    return np.clip(noise, -1, 1)[..., None]


def randomized_by_frame(x, length, draw):
    """Returns noise with the spectrum of each moment: frames with phases drawn anew."""
    from scipy import signal

    _, _, frames = signal.stft(x[..., 0], nperseg=length, noverlap=length * 3 // 4)
    phases = np.exp(2j * np.pi * draw.uniform(size=frames.shape))
    _, noise = signal.istft(np.abs(frames) * phases, noverlap=length * 3 // 4)
    # Frames that overlap at random cancel in part: give each clip its power again.
    noise = noise[:, : x.shape[1]]
    power = np.sqrt(np.sum(x[..., 0] ** 2, axis=1) / np.sum(noise**2 + 1e-20, axis=1))
    return np.clip(noise * power[:, None], -1, 1)[..., None]


def inversion_error(model, x):
    """Returns the largest |x - decode(encode(x))|."""
    return np.abs(in_parts(model.reconstruct, x) - x).max()


def speed(model, x, rounds=5):
    """Returns how many samples are made per second, after compilation."""
    import tensorflow as tf

    vocode = tf.function(lambda mel, seed: model.vocode(mel, seed))
    mel = model.mel(x)
    vocode(mel, tf.constant(0))
    start = time.perf_counter()
    for seed in range(rounds):
        vocode(mel, tf.constant(seed)).numpy()
    return rounds * x.shape[0] * x.shape[1] / (time.perf_counter() - start)


def write_sounds(folder, sounds, rate, most=8):
    """Writes WAV files of the first clips, of each kind."""
    from keras_gen import data

    folder.mkdir(exist_ok=True)
    for kind, clips in sounds.items():
        for index, clip in enumerate(clips[:most]):
            data.write_wav(folder / f"{index:02}_{kind}.wav", clip, rate)


def draw_spectrograms(path, model, sounds, most=5):
    """Writes a picture: a row for each kind of sound, a column for each clip."""
    from matplotlib.figure import Figure

    mels = [in_parts(model.mel, x[:most].astype("float32")) for x in sounds.values()]
    columns = len(mels[0])
    figure = Figure(figsize=(2.4 * columns, 6), dpi=100, layout="constrained")
    panels = figure.subplots(len(mels), columns, squeeze=False)
    for row, mel, kind in zip(panels, mels, sounds, strict=True):
        row[0].set_ylabel(kind)
        for panel, picture, truth in zip(row, mel, mels[0], strict=True):
            shade = {"vmin": truth.min(), "vmax": truth.max()}
            panel.imshow(picture.T, origin="lower", aspect="auto", **shade)
            panel.set(xticks=[], yticks=[])
    figure.savefig(path, format="png")


if __name__ == "__main__":
    WaveGlow(__doc__).run()
