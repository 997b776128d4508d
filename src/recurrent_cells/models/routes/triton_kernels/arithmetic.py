"""What the kernels of all cells have in common."""

import triton
import triton.language as tl
from triton import knobs

# The interpreter multiplies the bits of bfloat16 as if they were integers.
INTERPRETED = tl.constexpr(knobs.runtime.interpret)


@triton.jit
def program(B, SIZE: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr):
    """The network of this program, its rows (ROWS, 1), units (1, WIDTH), and which of (ROWS, WIDTH) are no padding."""
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[:, None]
    units = tl.arange(0, WIDTH)[None, :]
    return tl.program_id(1).to(tl.int64), rows, units, (rows < B) & (units < SIZE)


@triton.jit
def read(pointer, places, inside):
    """Values in float32, zero in the padding."""
    return tl.load(pointer + places, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def gate_weights(recurrent, gate, SIZE: tl.constexpr, WIDTH: tl.constexpr, PRODUCTS: tl.constexpr):
    """The weights (WIDTH, WIDTH) of a gate, of all (G, SIZE, SIZE) of a network."""
    to, of = tl.arange(0, WIDTH)[:, None], tl.arange(0, WIDTH)[None, :]
    return operand(read(recurrent + gate * SIZE * SIZE, to * SIZE + of, (to < SIZE) & (of < SIZE)), PRODUCTS)


@triton.jit
def operand(x, PRODUCTS: tl.constexpr):
    """x as products take it."""
    if PRODUCTS == "bf16":
        x = x.to(tl.bfloat16)
    if PRODUCTS == "fp16":
        x = x.to(tl.float16)
    if INTERPRETED:
        x = x.to(tl.float32)
    return x


@triton.jit
def product(x, weights, PRODUCTS: tl.constexpr):
    """x (ROWS, WIDTH) times weights (WIDTH, WIDTH), in float32."""
    return tl.dot(operand(x, PRODUCTS), weights, input_precision="tf32" if PRODUCTS == "tf32" else "ieee")


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def tanh(x):
    return 2.0 / (1.0 + tl.exp(-2.0 * x)) - 1.0
