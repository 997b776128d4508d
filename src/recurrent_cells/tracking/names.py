"""The names of what runs carry in MLflow: tags, curves, files."""


class Tag:
    """Tags of runs."""

    # of a trial: what it is
    CELL = "cell"
    SEED = "seed"
    FINGERPRINT = "fingerprint"
    SHAPE = "shape"
    TASK = "task"
    METRIC = "metric"
    HIGHER_IS_BETTER = "metric.higher_is_better"
    IS_SHARE = "metric.is_share"
    PROTOCOL = "protocol"
    RECIPE = "recipe"
    SHORTENED = "shortened"
    REPRODUCES = "reproduces"
    DATA_DIGEST = "data.digest"
    # of a trial: on what it ran and how it ended
    DEVICE = "device"
    PRECISION = "precision"
    LAYERS_PRECISION = "precision.layers"  # the type of the products in recurrent layers
    PACK = "pack"
    PRUNED = "pruned"  # the step at which a search stopped the trial
    PRUNED_BY = "pruned.by"  # the parent run of that search
    TIME_USED = "time_used"  # the step at which trainer.max_seconds ended the trial
    SECONDS = "seconds"  # of training and testing
    CHECKPOINT_DIGEST = "checkpoint.sha256"
    MANIFEST = "manifest"  # size and SHA-256 of each file
    ARCHIVE = "archive"  # the file from which a run was taken, without weights
    # of a sweep's parent run; SWEEP, its run id, is on its trials too
    SWEEP = "sweep"
    PLAN = "sweep.plan"
    CONFIGURATIONS = "sweep.configurations"  # a digest of those that the plan has, whatever their seeds
    ROUND = "sweep.round"  # of training all again; empty where finished trials count as they are
    TRIALS = "sweep.trials"
    STOPPED = "sweep.stopped"  # why a sweep ended before its plan was done
    LEFT = "sweep.left"  # how many trials such a sweep has left
    UNTIL = "sweep.until"  # decided: asks a sweep of a fixed plan to add seeds, as the key of that name does
    MAX_SEEDS = "sweep.max_seeds"  # with that, the most seeds of a configuration
    ENDS = "sweep.ends"  # when the budget of a sweep is used, in seconds since 1970
    MOST_FAILED = "sweep.most_failed"  # 2+3: of the runs 2 were FAILED at the start, with 3 more no more trials start
    TRIED = "search.tried"  # how many proposals of a search have come to an end, of however many trials
    SKIP = "skip."  # with the fingerprint of a trial that the sweep is to leave out
    # of both
    STOP = "stop"  # asks a trial to save its state and end, a sweep to start no more trials; the value says why
    OPENED = "opened"  # counts the openings of runs of a trial, and those of sweeps: a clock may be set
    ERROR = "error"
    GIT_COMMIT = "git.commit"
    GIT_DIRTY = "git.dirty"
    HOST = "process.host"
    BOOT = "process.boot"
    NAMESPACE = "process.namespace"  # in which its number is counted: containers of a machine have their own
    PID = "process.pid"
    START = "process.start"
    HEARTBEAT = "process.heartbeat"
    ATTEMPT = "process.attempt"  # by which a launcher on another machine knows the run of a trial that it saw die
    # read by MLflow's UI
    NOTE = "mlflow.note.content"
    RUN_COLOR = "mlflow.runColor"


TEST_WATCHED = "test-watched"  # the protocol of a trial that chose its weights by the test data


class Curve:
    """Metrics over the optimiser steps of a trial. Those of the task's metric: `val("acc")` and so on."""

    TRAIN_LOSS = "train/loss"
    GRAD_NORM = "train/grad_norm"
    VAL_LOSS = "val/loss"
    TEST_LOSS = "test/loss"
    LEARNING_RATE = "lr"
    EPOCH = "epoch"
    EPOCH_SECONDS = "epoch_seconds"
    SAMPLES_PER_SECOND = "samples_per_second"

    @staticmethod
    def train(metric: str) -> str:
        return f"train/{metric}"

    @staticmethod
    def val(metric: str) -> str:
        return f"val/{metric}"

    @staticmethod
    def best_val(metric: str) -> str:
        return f"val/best_{metric}"

    @staticmethod
    def test(metric: str) -> str:
        return f"test/{metric}"


class Artifact:
    """Files of runs."""

    CONFIG = "config.yaml"
    CHECKPOINT = "best.ckpt"
    MODEL = "model"
    CONFUSION = "confusion_matrix.csv"
    CONFUSION_PICTURE = "confusion_matrix.png"
    HARDEST = "hardest_images.json"
    OUTCOMES = "test_outcomes.npz"
    AFTER_STEP = "accuracy_after_step.csv"
    AFTER_STEP_PICTURE = "accuracy_after_step.png"
    FIRST_SEQUENCES = "first_sequences.png"
    NUMBERS = "test_numbers.npz"
    NUMBERS_PICTURE = "predicted_against_true.png"
    LOG = "train.log"
    CODE_DIFF = "code.diff"  # what the commit lacks of the code
    PACKAGES = "packages.txt"
    # of a sweep's parent run
    PLAN = "plan.json"
    SEARCH = "search.json"
    QUESTION = "question.json"
    REPORT = "report"

    @staticmethod
    def earlier(name: str) -> str:
        """Of a sweep's parent: the runs that had ended when a round of training all again began."""
        return f"earlier-{name}.json"
