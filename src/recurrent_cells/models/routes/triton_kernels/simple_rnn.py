"""h' = tanh(a + U h), where a = W x + b."""

import triton
import triton.language as tl

from recurrent_cells.models.routes.triton_kernels.arithmetic import gate_weights, product, program, read, tanh

NUM_SAVED = 0
NUM_READ = 2  # h and the gradient of the output


@triton.jit(repr=lambda _: "simple_rnn_forward", do_not_specialize=["B"])
def forward(
    inputs,
    bias,
    recurrent,
    outputs,
    saved,
    B,
    T: tl.constexpr,
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    STAGES: tl.constexpr,
    REVERSE: tl.constexpr,
    KEEP: tl.constexpr,
    PRODUCTS: tl.constexpr,
):
    network, rows, units, inside = program(B, SIZE, WIDTH, ROWS)
    weights = tl.trans(gate_weights(recurrent + network * SIZE * SIZE, 0, SIZE, WIDTH, PRODUCTS))
    shift = read(bias + network * SIZE, units, units < SIZE)
    place = rows * SIZE + units
    h = tl.full((ROWS, WIDTH), 0.0, tl.float32)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (T - 1 - step if REVERSE else step)) * B
        a = read(inputs + row * SIZE, place, inside) + shift
        h = tanh(a + product(h, weights, PRODUCTS))
        tl.store(outputs + row * SIZE + place, h, mask=inside)


@triton.jit(repr=lambda _: "simple_rnn_backward", do_not_specialize=["B"])
def backward(
    outputs,
    saved,
    recurrent,
    d_outputs,
    d_last,
    d_planes,
    B,
    T: tl.constexpr,
    SIZE: tl.constexpr,
    WIDTH: tl.constexpr,
    ROWS: tl.constexpr,
    STAGES: tl.constexpr,
    REVERSE: tl.constexpr,
    HAS_OUTPUTS: tl.constexpr,
    PRODUCTS: tl.constexpr,
):
    network, rows, units, inside = program(B, SIZE, WIDTH, ROWS)
    weights = gate_weights(recurrent + network * SIZE * SIZE, 0, SIZE, WIDTH, PRODUCTS)
    place = rows * SIZE + units
    d_h = read(d_last + network * B * SIZE, place, inside)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (step if REVERSE else T - 1 - step)) * B
        h = read(outputs + row * SIZE, place, inside)
        if HAS_OUTPUTS:
            d_h += read(d_outputs + row * SIZE, place, inside)
        d_a = d_h * (1.0 - h * h)
        tl.store(d_planes + row * SIZE + place, d_a, mask=inside)
        d_h = product(d_a, weights, PRODUCTS)
