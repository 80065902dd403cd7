"""Trains a small network on waves and looks at its errors' spectrum: what tarn records as numpy-training.tarn."""

import numpy as np

rng = np.random.default_rng(20)
SAMPLES, INPUTS, HIDDEN, OUTPUTS, BATCH = 3000, 96, 192, 10, 500

time = np.linspace(0, 1, INPUTS, dtype=np.float32)
labels = rng.integers(0, OUTPUTS, SAMPLES)
waves = np.sin(2 * np.pi * (labels[:, None] + 1) * time) + 2.5 * rng.standard_normal((SAMPLES, INPUTS))
waves = waves.astype(np.float32)
wanted = np.eye(OUTPUTS, dtype=np.float32)[labels]

weights = [
    (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)
    for shape in ((INPUTS, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, OUTPUTS))
]
momenta = [np.zeros_like(w) for w in weights]


def forward(batch):
    layers = [batch]
    for w in weights[:-1]:
        layers.append(np.maximum(layers[-1] @ w, 0))
    scores = layers[-1] @ weights[-1]
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    return layers, scores / scores.sum(axis=1, keepdims=True)


def backward(layers, gradient):
    gradients = []
    for layer, w in zip(reversed(layers), reversed(weights)):
        gradients.append(layer.T @ gradient)
        gradient = (gradient @ w.T) * (layer > 0)
    return reversed(gradients)


for epoch in range(12):
    order = rng.permutation(SAMPLES)
    for start in range(0, SAMPLES, BATCH):
        chosen = order[start : start + BATCH]
        layers, predicted = forward(waves[chosen])
        gradients = backward(layers, (predicted - wanted[chosen]) / BATCH)
        for w, m, g in zip(weights, momenta, gradients):
            m *= 0.9
            m -= 0.2 * g
            w += m
    _, predicted = forward(waves)
    wrong = waves[predicted.argmax(axis=1) != labels]
    spectrum = np.abs(np.fft.rfft(wrong - wrong.mean(), axis=1)).mean(axis=0) if len(wrong) else np.zeros(1)
    print(f"epoch {epoch}: {len(wrong)} of {SAMPLES} wrong, loudest frequency {spectrum.argmax()}")
