"""Whether a trial can start, its memory estimated before any of it is taken; without what only training imports."""

from recurrent_cells.config.schema import Config
from recurrent_cells.data.splits import Splits, load_splits
from recurrent_cells.memory import check_memory
from recurrent_cells.models.layers import check_kernel
from recurrent_cells.models.size import count_parameters
from recurrent_cells.training.chunks import evaluated_at_once, num_steps
from recurrent_cells.training.device import check_device
from recurrent_cells.trial.spec import trial_task

# Of the weights: themselves, their gradients, the best so far, and what an optimiser keeps of each, twice.
COPIES = 5
# Of the confusion matrix: as counts twice, as a list, and as text.
CONFUSION_COPIES = 4
FLOAT, INTEGER = 4, 8


def check_trial(config: Config) -> int:
    """The parameters of a trial's network.

    Raises:
        UserError: if the device, the data or the task will not do, if the layers need another device, or if training
            needs more memory than there is; a GPU's own memory is left to torch.
    """
    accelerator = check_device(config.trainer)
    splits = load_splits(config.data)
    trial_task(config, splits)
    check_kernel(config.model.kernel, accelerator)
    parameters = count_parameters(config.model, splits.num_features, splits.num_outputs, splits.num_steps)
    needed = _estimate(config, splits, parameters)
    if accelerator == "gpu":
        needed = {what: count for what, count in needed.items() if not what.startswith("data.")}
    largest = max(needed, key=lambda what: needed[what])
    check_memory(sum(needed.values()), largest, "give smaller values")
    return parameters


def _estimate(config: Config, splits: Splits, parameters: int) -> dict[str, int]:
    """At least so many bytes, by the keys that decide of them."""
    model, data, outputs = config.model, config.data, splits.num_outputs
    steps = num_steps(model, splits)
    width = model.hidden_size * (2 if model.bidirectional else 1)
    of_step = 2 * width * model.num_layers + (outputs if model.readout == "every" else 0)
    evaluated = min(evaluated_at_once(config, splits), max(len(splits.val), len(splits.test)))
    size = f"model.hidden_size={model.hidden_size} model.num_layers={model.num_layers}"
    return {
        f"{size} frontend_size={model.frontend_size}, {outputs} outputs": COPIES * FLOAT * parameters,
        f"data.batch_size={data.batch_size} {size}": FLOAT * data.batch_size * (steps * of_step + outputs),
        f"data.eval_batch_size={data.eval_batch_size} {size}": FLOAT * evaluated * (steps * width + outputs),
        f"{splits.num_classes} classes": CONFUSION_COPIES * INTEGER * splits.num_classes**2,
    }
