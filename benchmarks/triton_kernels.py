"""What the kernels of the route `triton` need on an H100 or H200: compiled here, without a GPU.

python -m benchmarks.triton_kernels >> benchmarks/results/triton_kernels.md
"""

import re
import subprocess
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from itertools import product
from pathlib import Path

from benchmarks.record import machine
from recurrent_cells.models.cells import Cell
from recurrent_cells.models.routes.triton import Blocks, blocks, kernels
from recurrent_cells.tables import CELLS

# Of a multiprocessor of sm_90: registers, warps, and bytes of shared memory, of which each program takes RESERVED more.
REGISTERS, WARPS, SHARED, RESERVED = 65_536, 64, 233_472, 1024
CELLS_WITH_KERNELS = ("simple_rnn", "lstm", "gru")
SIZES = (50, 100, 128, 200, 256)
EXACTNESS = ("bf16", "tf32", "ieee")


@dataclass(frozen=True)
class Figures:
    """What a compiled kernel needs: registers of a thread, bytes of it on the stack, bytes of shared memory."""

    blocks: Blocks
    registers: int
    stack: int
    shared: int

    @property
    def programs(self) -> int:
        """Programs at once on a multiprocessor."""
        warps, of_thread = self.blocks.warps, -(-self.registers // 8) * 8
        return min(REGISTERS // (of_thread * 32 * warps), WARPS // warps, SHARED // (self.shared + RESERVED))


def compiled(cell: Cell, hidden_size: int, products: str, backward: bool, steps: int = 28) -> Figures | None:
    """Figures of a kernel for sm_90, as the route would launch it; None where it would not."""
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    chosen = blocks(cell, hidden_size, products, backward)
    if chosen is None:
        return None
    module = kernels(cell)
    kernel = module.backward if backward else module.forward
    known = {
        "T": steps,
        "SIZE": hidden_size,
        "WIDTH": chosen.width,
        "ROWS": chosen.rows,
        "STAGES": chosen.stages,
        "REVERSE": False,
        "KEEP": True,
        "HAS_OUTPUTS": True,
        "PRODUCTS": products,
    }
    low = {"bf16": "*bf16", "fp16": "*fp16"}.get(products, "*fp32")
    kinds = {"B": "i32", "inputs": low, "d_planes": low}
    signature = {it.name: "constexpr" if it.is_constexpr else kinds.get(it.name, "*fp32") for it in kernel.params}
    source = ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={name: known[name] for name, kind in signature.items() if kind == "constexpr"},
        attrs={(n,): [["tt.divisibility", 16]] for n, kind in enumerate(signature.values()) if kind.startswith("*")},
    )
    options = {"num_warps": chosen.warps, "enable_fp_fusion": True}
    built = triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options)
    registers, stack = _resources(built.asm["cubin"])
    return Figures(chosen, registers, stack, built.metadata.shared)


def _resources(cubin: bytes) -> tuple[int, int]:
    """Registers of a thread, and its bytes on the stack, where registers go that there are none for."""
    import triton

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(cubin)
        tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
        said = subprocess.run([tool, "-res-usage", file.name], check=True, capture_output=True, text=True)
    found = re.search(r"REG:(\d+) STACK:(\d+)", said.stdout)
    assert found is not None, said.stdout
    return int(found[1]), int(found[2])


def table() -> str:
    lines = [
        "| cell | hidden | products | kernel | rows | stages | warps | registers | stack | shared, KB | programs |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for cell, size, products in product(CELLS_WITH_KERNELS, SIZES, EXACTNESS):
        for backward in (False, True):
            words = [CELLS[cell].label, size, products, "backward" if backward else "forward"]
            if found := compiled(CELLS[cell](), size, products, backward):
                blocks = found.blocks
                words += [blocks.rows, blocks.stages, blocks.warps, found.registers, found.stack]
                words += [f"{found.shared / 1024:.0f}", found.programs]
            else:
                words += ["does not fit", *[""] * 6]
            lines.append(f"| {' | '.join(map(str, words))} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(f"\n## Triton {version('triton')}\n\n{machine()}\n\n{table()}")
