"""r, z = sigmoid(a + U h + c), q = U h + c, n = tanh(a + r q); h' = n + z (h - n), where a = W x + b."""

import triton
import triton.language as tl

from recurrent_cells.models.routes.triton_kernels.arithmetic import gate_weights, product, program, read, sigmoid, tanh

NUM_SAVED = 4  # q, r, z, n
NUM_READ = 6  # q, r, z, n, h of the step before, and the gradient of the output


@triton.jit(repr=lambda _: "gru_forward", do_not_specialize=["B"])
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
    recurrent += network * 3 * SIZE * SIZE
    weights_r = tl.trans(gate_weights(recurrent, 0, SIZE, WIDTH, PRODUCTS))
    weights_z = tl.trans(gate_weights(recurrent, 1, SIZE, WIDTH, PRODUCTS))
    weights_q = tl.trans(gate_weights(recurrent, 2, SIZE, WIDTH, PRODUCTS))
    bias += network * 4 * SIZE
    bias_q = read(bias, units, units < SIZE)
    bias_r = read(bias + SIZE, units, units < SIZE)
    bias_z = read(bias + 2 * SIZE, units, units < SIZE)
    bias_n = read(bias + 3 * SIZE, units, units < SIZE)
    h = tl.full((ROWS, WIDTH), 0.0, tl.float32)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (T - 1 - step if REVERSE else step)) * B
        gates, place = inputs + row * 3 * SIZE, rows * (3 * SIZE) + units
        r = read(gates, place, inside) + bias_r
        z = read(gates + SIZE, place, inside) + bias_z
        n = read(gates + 2 * SIZE, place, inside) + bias_n
        r = sigmoid(r + product(h, weights_r, PRODUCTS))
        z = sigmoid(z + product(h, weights_z, PRODUCTS))
        q = product(h, weights_q, PRODUCTS) + bias_q
        n = tanh(n + r * q)
        h = n + z * (h - n)
        tl.store(outputs + row * SIZE + rows * SIZE + units, h, mask=inside)
        if KEEP:
            kept = saved + row * 4 * SIZE + rows * (4 * SIZE) + units
            tl.store(kept, q, mask=inside)
            tl.store(kept + SIZE, r, mask=inside)
            tl.store(kept + 2 * SIZE, z, mask=inside)
            tl.store(kept + 3 * SIZE, n, mask=inside)


@triton.jit(repr=lambda _: "gru_backward", do_not_specialize=["B"])
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
    recurrent += network * 3 * SIZE * SIZE
    weights_r = gate_weights(recurrent, 0, SIZE, WIDTH, PRODUCTS)
    weights_z = gate_weights(recurrent, 1, SIZE, WIDTH, PRODUCTS)
    weights_q = gate_weights(recurrent, 2, SIZE, WIDTH, PRODUCTS)
    place, state = rows * (4 * SIZE) + units, rows * SIZE + units
    d_h = read(d_last + network * B * SIZE, state, inside)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (step if REVERSE else T - 1 - step)) * B
        kept = saved + row * 4 * SIZE
        q = read(kept, place, inside)
        r = read(kept + SIZE, place, inside)
        z = read(kept + 2 * SIZE, place, inside)
        n = read(kept + 3 * SIZE, place, inside)
        row_before = row + B if REVERSE else row - B
        h_before = read(outputs + row_before * SIZE, state, inside & (step < T - 1))
        if HAS_OUTPUTS:
            d_h += read(d_outputs + row * SIZE, state, inside)
        d_n = d_h * (1.0 - z) * (1.0 - n * n)
        d_z = d_h * (h_before - n) * z * (1.0 - z)
        d_q = d_n * r
        d_r = d_n * q * r * (1.0 - r)
        planes = d_planes + row * 4 * SIZE + place
        tl.store(planes, d_q, mask=inside)
        tl.store(planes + SIZE, d_r, mask=inside)
        tl.store(planes + 2 * SIZE, d_z, mask=inside)
        tl.store(planes + 3 * SIZE, d_n, mask=inside)
        d_h = d_h * z + product(d_q, weights_q, PRODUCTS)
        d_h += product(d_r, weights_r, PRODUCTS)
        d_h += product(d_z, weights_z, PRODUCTS)
