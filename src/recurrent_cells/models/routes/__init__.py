"""Ways to compute recurrent layers, a module each; all give the same within rounding.

Each has `fits(layers, x, lengths)`: whether it can compute the cell of these layers on the input (…, B, T, F) with
lengths (…, B) or None. Most have `layer(cell, x, weights, hidden_size, reverse)`: one layer in one direction,
(…, T, B, F) → outputs (…, T, B, H) and the state (…, B, H) after the last step taken; torch's own has `stack`.
"""
