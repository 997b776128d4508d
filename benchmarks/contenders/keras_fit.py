"""The same network in Keras 3, trained by `fit`; the option is the backend: jax or tensorflow."""

import os
import time
from typing import Any

from benchmarks.contenders import Network, Round

POLICIES = {"32-true": "float32", "bf16-mixed": "mixed_bfloat16", "16-mixed": "mixed_float16"}


def prepare(network: Network, x: Any, y: Any, option: str) -> Round:
    os.environ["KERAS_BACKEND"] = option
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not network.tf32:
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # read by NVIDIA's libraries, whatever the backend
    import keras

    keras.mixed_precision.set_global_policy(POLICIES[network.precision])
    layer = {"simple_rnn": keras.layers.SimpleRNN, "lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[network.cell]
    model = keras.Sequential([keras.Input(x.shape[1:])])
    for index in range(network.num_layers):
        model.add(layer(network.hidden_size, return_sequences=index < network.num_layers - 1))
    model.add(keras.layers.Dense(10))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=loss)
    size = network.batch_size
    batches = len(y) // size
    x, y = x[: batches * size], y[: batches * size]
    model.fit(x, y, batch_size=size, epochs=1, verbose=0)  # compiles

    def train(steps: int) -> float:
        epochs = max(1, round(steps / batches))
        start = time.perf_counter()
        model.fit(x, y, batch_size=size, epochs=epochs, verbose=0)
        return (time.perf_counter() - start) / (epochs * batches)

    return train
