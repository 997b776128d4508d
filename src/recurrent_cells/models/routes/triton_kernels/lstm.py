"""i, f, o = sigmoid(a + U h), g = tanh(a + U h); c' = f c + i g, h' = o tanh(c'), where a = W x + b."""

import triton
import triton.language as tl

from recurrent_cells.models.routes.triton_kernels.arithmetic import gate_weights, product, program, read, sigmoid, tanh

NUM_SAVED = 5  # i, f, g, o, c
NUM_READ = 6  # i, f, g, o, c of the step before, and the gradient of the output


@triton.jit(repr=lambda _: "lstm_forward", do_not_specialize=["B"])
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
    recurrent += network * 4 * SIZE * SIZE
    weights_i = tl.trans(gate_weights(recurrent, 0, SIZE, WIDTH, PRODUCTS))
    weights_f = tl.trans(gate_weights(recurrent, 1, SIZE, WIDTH, PRODUCTS))
    weights_g = tl.trans(gate_weights(recurrent, 2, SIZE, WIDTH, PRODUCTS))
    weights_o = tl.trans(gate_weights(recurrent, 3, SIZE, WIDTH, PRODUCTS))
    bias += network * 4 * SIZE
    bias_i = read(bias, units, units < SIZE)
    bias_f = read(bias + SIZE, units, units < SIZE)
    bias_g = read(bias + 2 * SIZE, units, units < SIZE)
    bias_o = read(bias + 3 * SIZE, units, units < SIZE)
    h = tl.full((ROWS, WIDTH), 0.0, tl.float32)
    c = tl.full((ROWS, WIDTH), 0.0, tl.float32)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (T - 1 - step if REVERSE else step)) * B
        gates, place = inputs + row * 4 * SIZE, rows * (4 * SIZE) + units
        i = read(gates, place, inside) + bias_i
        f = read(gates + SIZE, place, inside) + bias_f
        g = read(gates + 2 * SIZE, place, inside) + bias_g
        o = read(gates + 3 * SIZE, place, inside) + bias_o
        i = sigmoid(i + product(h, weights_i, PRODUCTS))
        f = sigmoid(f + product(h, weights_f, PRODUCTS))
        g = tanh(g + product(h, weights_g, PRODUCTS))
        o = sigmoid(o + product(h, weights_o, PRODUCTS))
        c = f * c + i * g
        h = o * tanh(c)
        tl.store(outputs + row * SIZE + rows * SIZE + units, h, mask=inside)
        if KEEP:
            kept = saved + row * 5 * SIZE + rows * (5 * SIZE) + units
            tl.store(kept, i, mask=inside)
            tl.store(kept + SIZE, f, mask=inside)
            tl.store(kept + 2 * SIZE, g, mask=inside)
            tl.store(kept + 3 * SIZE, o, mask=inside)
            tl.store(kept + 4 * SIZE, c, mask=inside)


@triton.jit(repr=lambda _: "lstm_backward", do_not_specialize=["B"])
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
    recurrent += network * 4 * SIZE * SIZE
    weights_i = gate_weights(recurrent, 0, SIZE, WIDTH, PRODUCTS)
    weights_f = gate_weights(recurrent, 1, SIZE, WIDTH, PRODUCTS)
    weights_g = gate_weights(recurrent, 2, SIZE, WIDTH, PRODUCTS)
    weights_o = gate_weights(recurrent, 3, SIZE, WIDTH, PRODUCTS)
    place = rows * (5 * SIZE) + units
    last = (network * T + (0 if REVERSE else T - 1)) * B
    c = read(saved + last * 5 * SIZE + 4 * SIZE, place, inside)
    d_c = tl.full((ROWS, WIDTH), 0.0, tl.float32)
    d_h = read(d_last + network * B * SIZE, rows * SIZE + units, inside)
    for step in tl.range(T, num_stages=STAGES):
        row = (network * T + (step if REVERSE else T - 1 - step)) * B
        kept = saved + row * 5 * SIZE
        i = read(kept, place, inside)
        f = read(kept + SIZE, place, inside)
        g = read(kept + 2 * SIZE, place, inside)
        o = read(kept + 3 * SIZE, place, inside)
        row_before = row + B if REVERSE else row - B
        c_before = read(saved + row_before * 5 * SIZE + 4 * SIZE, place, inside & (step < T - 1))
        if HAS_OUTPUTS:
            d_h += read(d_outputs + row * SIZE, rows * SIZE + units, inside)
        tanh_c = tanh(c)
        d_c += d_h * o * (1.0 - tanh_c * tanh_c)
        d_i = d_c * g * i * (1.0 - i)
        d_f = d_c * c_before * f * (1.0 - f)
        d_g = d_c * i * (1.0 - g * g)
        d_o = d_h * tanh_c * o * (1.0 - o)
        d_c *= f
        c = c_before
        gates = d_planes + row * 4 * SIZE + rows * (4 * SIZE) + units
        tl.store(gates, d_i, mask=inside)
        tl.store(gates + SIZE, d_f, mask=inside)
        tl.store(gates + 2 * SIZE, d_g, mask=inside)
        tl.store(gates + 3 * SIZE, d_o, mask=inside)
        d_h = product(d_i, weights_i, PRODUCTS)
        d_h += product(d_f, weights_f, PRODUCTS)
        d_h += product(d_g, weights_g, PRODUCTS)
        d_h += product(d_o, weights_o, PRODUCTS)
