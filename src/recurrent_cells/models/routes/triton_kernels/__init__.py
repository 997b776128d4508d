"""Persistent kernels, a module for each cell: a program carries some rows of one network's batch through all steps.

Shapes: K networks, T steps, B rows, H units. A program holds ROWS rows and its network's recurrent weights (G, H, H),
both padded to WIDTH units, a power of two, with zeros: the states of units that are padding stay zero. A module has

- `forward`: gates' inputs (K, T, B, G·H) without biases, and biases (K, P·H) of P planes → outputs (K, T, B, H) and
  what else `backward` reads, `saved` (K, T, B, NUM_SAVED·H), where it is to KEEP that, in float32;
- `backward`: gradients of the outputs (K, T, B, H), where HAS_OUTPUTS, and of the last state (K, B, H) → those of
  the planes (K, T, B, P·H); a step reads NUM_READ arrays (ROWS, WIDTH).

Planes are as the cell's steps by hand have them: the recurrent products that stand apart, then the gates.
PRODUCTS is how exact products with recurrent weights are: ieee, tf32, bf16, fp16; all else is float32.
T is a constant because the interpreter of Triton 3.6 with NumPy 2.4 counts to no other.
"""
