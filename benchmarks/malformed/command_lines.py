"""Command lines that must be refused."""

from collections.abc import Iterator

from benchmarks.malformed.sandbox import Case
from recurrent_cells.config.schema import schema_fields

HUGE = "9" * 23
# Values no key of a type has.
WRONG = {
    int: ("abc", "1.5", "-1", HUGE),
    float: ("abc", "nan", "[1]"),
    bool: ("abc", "1.5"),
    str: ("no_such_name", "[a]"),
}
# Integers may be negative, numbers infinite, and texts anything, where the schema has no rule.
ANY_TEXT = ("data.root", "recipe", "reproduce", "tracking.experiment", "sweep.parent", "sweep.study")


def cases() -> Iterator[Case]:
    yield from map(_train, _of_the_schema())
    for name, lines in (
        ("too large", _too_large()),
        ("flags", _flags()),
        ("overrides", _overrides()),
        ("sweeps", _sweeps()),
        ("searches", _searches()),
    ):
        for line in lines:
            yield Case(name, " ".join(line)[:70], "train", line)
    yield from _other_commands()


def _train(override: str) -> Case:
    return Case("a key's value", override[:70], "train", (override,))


def _of_the_schema() -> Iterator[str]:
    for key, item in schema_fields():
        kind = next((it for it in WRONG if it in (item.type, *getattr(item.type, "__args__", ()))), None)
        if key in ANY_TEXT or kind is None:
            continue
        for value in WRONG[kind]:
            if not (value == "-1" and key == "sweep.earlier"):
                yield f"{key}={value}"
    yield from ("sweep.parent=abc", "sweep.study=abc", "sweep.number=3", "sweep.earlier=[abc]", "tracking.experiment=")
    yield from ("data.root=", "reproduce=abc", "reproduce=", "model.head=[]", "model.head=[softmax]")
    yield from (
        "model.head=[linear,tanh]",
        "model.head=linear",
        "extensions=[/absent.py]",
        "extensions=[/etc/hostname]",
    )
    yield from ("extensions=[/proc/self/mem]", "extensions=[/dev/zero]", "extensions=[/]")


def _too_large() -> Iterator[tuple[str, ...]]:
    yield from (
        ("trainer.threads=100000",),
        ("trainer.threads=1000000000",),
        (f"data.split_seed={HUGE}",),
        ("data.split_seed=4294967296",),
        ("model.hidden_size=10000000",),
        ("model.hidden_size=10000000000000",),
        ("model=gru", "model.hidden_size=10000000"),
        ("model=simple_rnn", "model.hidden_size=10000000"),
        ("model.num_layers=100000",),
        ("model.num_layers=100000", "model.hidden_size=1"),
        ("model.num_layers=900", "model.hidden_size=2000"),
        ("data.num_classes=100000000",),
        ("data.num_classes=200000",),
        (f"data.num_classes={10**15}",),
        ("model.frontend=linear", f"model.frontend_size={10**12}"),
        ("model.frontend=conv", f"model.frontend_size={10**6}"),
        ("model.frontend=conv", "model.frontend_size=20000"),
        ("model.head=[" + ",".join(["linear"] * 20000) + "]",),
        ("data.batch_size=1000000",),
        ("model.hidden_size=30000", "model.bidirectional=true"),
        ("data.batch_size=3500", "model.hidden_size=20000", "model=simple_rnn", "model.kernel=torch"),
        (f"data.val_size={HUGE}",),
        (f"trainer.max_epochs={HUGE}",),
        (f"trainer.max_steps={HUGE}",),
        ("data.train_size=1000000",),
        ("data.test_size=5001",),
    )


def _flags() -> Iterator[tuple[str, ...]]:
    yield from (
        ("--foo",),
        ("-x",),
        ("--", "-x"),
        ("-m=3",),
        ("--info=zz",),
        ("--cfg", "nope"),
        ("--cfg",),
        ("--config-dir",),
        ("--config-dir", "/absent"),
        ("--config-dir", "/etc/hostname"),
        ("--config-dir", "conf", "conf"),
        ("--config-name",),
        ("--config-name", "../../../etc/passwd"),
        ("--config-name=",),
        ("--config-path", "/absent"),
        ("--config-path=pkg://absent",),
        ("--package",),
        ("--resolve",),
        ("--cfg", "job", "--info"),
        ("-m", "--cfg", "job"),
        ("-m", "-r"),
        ("--experimental-rerun", "{folder}/rerun.pickle"),
        ("--experimental-rerun", "/absent"),
        ("--experimental-rerun",),
        ("--help=3",),
        ("--version=3",),
    )


def _overrides() -> Iterator[tuple[str, ...]]:
    lines = (
        *("model", "=", "=3", "model=", "model.=3", ".x=3", "a b", "seed==1", "seed=[", "seed={", "seed=(1", "seed='1"),
        *('seed="1', "seed=1,", "seed=,1", "seed=1 2", "seed=$", "seed=${", "seed=${x}", "seed=${seed}"),
        *("seed=${oc.env:ABSENT}", "seed=${oc.env:HOME}", "seed=${nothing:1}", "seed=${oc.decode:'['}", "seed=???"),
        *("~seed", "~model.hidden_size", "~absent", "~", "+", "++", "+seed=1", "+model.x=3", "++model.x=3", "+x=1"),
        *(
            "model=foo",
            "model=null",
            "model=3",
            "model=[lstm]",
            "model=../data/idx",
            "model=/etc/passwd",
            "data=absent",
        ),
        *("optimizer=lion", "trainer=tpu", "experiment=absent", "+sweep=absent", "model@data=lstm", "model@=lstm"),
        *("hydra=absent", "hydra/launcher=absent", "hydra/sweeper=absent", "hydra.x=3", "hydra.run.dir=/proc/nope"),
        *(
            "hydra.run.dir=/dev/null/x",
            "hydra.job.chdir=abc",
            "hydra.mode=abc",
            "hydra.searchpath=3",
            "hydra.verbose=[[",
        ),
        *("hydra.job.name=[", "hydra/job_logging=absent", "hydra.output_subdir={}", "seed=\x00", "s\u00e9ed=1"),
        *("seed=" + "[" * 500 + "]" * 500, "seed=" + "(" * 2000, "model." * 3000 + "x=1", "x" * 20000, "seed=1e400"),
        *("seed=0x10", "seed=1_0_", "seed=true", "model.dropout=1", "model.dropout=1e-400x", "optimizer.lr=0"),
    )
    for line in lines:
        yield (line,)
    yield ("model.kernel=numpy", "trainer.precision=64-true", "seed=-1")
    yield ("trainer.max_epochs=null",)
    yield ("trainer.max_steps=4", "trainer.max_images=400")
    yield ("trainer.max_images=3",)
    yield ("data.val_size=0",)
    yield ("data=idx",)
    yield ("data.root=/absent",)
    yield ("trainer=gpu",)
    yield ("trainer=cpu", "trainer.precision=16-mixed")
    yield ("sweep.dry_run=true", "reproduce=abc")


def _sweeps() -> Iterator[tuple[str, ...]]:
    for line in (
        *(
            "seed=range(0,10,0)",
            "seed=range(0,1000000000)",
            "seed=range(0,1e300)",
            "seed=range(0,nan)",
            "seed=range(5,0)",
        ),
        *("seed=range(0,inf)", "seed=range(0.0,1.0,1e-12)", "seed=range(a,b)", "seed=range(0)", "seed=interval(0,1)"),
        *("seed=choice()", "seed=choice(1,abc)", "seed=sort(3,2,x)", "seed=shuffle(1)x", "seed=tag(log,interval(1,2))"),
        *(
            "seed=1,1.5",
            "model=lstm,foo",
            "model.hidden_size=1,0",
            "sweep.rerun=all,missing",
            "tracking.experiment=a,b",
        ),
        *("hydra.launcher.slots=0", "hydra.launcher.slots=-1", "hydra.launcher.slots=abc", "hydra.launcher.absent=1"),
        *("hydra/launcher=absent", "hydra/sweeper=absent", "sweep.parent=abc"),
        *("hydra.sweeper.params=3", "hydra.sweeper.absent=1", "+hydra.sweeper.params.absent=1", "reproduce=abc"),
        *("hydra.sweep.dir=/proc/nope", "hydra.launcher._target_=os.getcwd", "hydra.sweeper._target_=absent.X"),
        *("extensions=[/absent.py],[b.py]", "sweep.retries=-1", "sweep.number=3", "sweep.earlier=[7]", "sweep.study=x"),
        *("model.hidden_size=8,10000000", "trainer.threads=1,100000", "data=mnist_5k,idx", "+sweep=absent", "--cfg"),
    ):
        yield ("-m", line)
    yield ("-m", "seed=range(0,100000)", "model.hidden_size=range(1,100000)")
    yield ("-m", "seed=range(0,3)", "model.hidden_size=interval(1,3)")
    yield ("-m", "hydra/sweeper=basic", "seed=1,-1", "sweep.parent=abc")
    yield ("-m", "hydra/sweeper=basic", "hydra/launcher=packed", "seed=1,2")
    yield ("-m", "hydra/sweeper=basic", "hydra.sweep.dir=/proc/nope", "seed=1,2")


def _searches() -> Iterator[tuple[str, ...]]:
    search = ("-m", "hydra/sweeper=optuna")
    for line in (
        *("model.hidden_size=8", "model.hidden_size=interval(8,2)", "model.hidden_size=interval(0,8)", "seed=1,2"),
        *("model.hidden_size=interval(0.5,8)", "optimizer.lr=tag(log,interval(0,1))", "optimizer.lr=interval(0,nan)"),
        *("optimizer.lr=tag(x,interval(0.1,1))", "optimizer.lr=interval(-inf,inf)", "model.dropout=interval(0,2)"),
        *("model.hidden_size=range(0,10,0)", "model.hidden_size=range(1,1000000000000)", "model=choice(lstm,foo)"),
        *("model.hidden_size=int(interval(1,1e300))", "model.hidden_size=int(interval(1,10000000))", "model=choice()"),
        "sweep.rerun=all,failed",
    ):
        yield (*search, line)
    for line in (
        *(
            "n_trials=0",
            "n_trials=abc",
            f"n_trials={HUGE}",
            "sampler=absent",
            "pruner=absent",
            "objectives=[]",
            "seed=-1",
        ),
        *("objectives=[test/acc]", "objectives=[val/acc,val/acc]", "startup_trials=0", "min_evaluations=0", "absent=1"),
        *("reduction_factor=1", f"seed={HUGE}", "params=3"),
    ):
        yield (*search, "model.hidden_size=8,16", f"hydra.sweeper.{line}")
    yield (*search, "hydra.sweeper.sampler=grid", "optimizer.lr=interval(0.1,1)")
    yield (*search, "hydra.sweeper.sampler=grid", "seed=0", "model.hidden_size=range(1,100000000)")


def _other_commands() -> Iterator[Case]:
    """Of the commands that read what was trained, in a store without a finished trial."""
    named = {
        "report": (
            *("sweep=abc", "sweep=", "sweep", "absent=1", "metric=absent", "sweep=latest", "sweep=a,b", "--foo"),
            *("sweep=%", "sweep='; drop table runs;--", "sweep=" + "x" * 5000, "sweep=\x00"),
        ),
        "evaluate": (
            *("run=best", "run=champion", "run=abc", "run=", "", "data=mnist", "run=best data=absent", "run=best-x"),
            *("run=best output=xml", "run=best data.root=/absent", "run='", "run=" + "x" * 5000, "run=../../etc"),
        ),
        "predict": (
            *(
                "run=best",
                "images=/absent",
                "run=best images=/absent",
                "run=best images=",
                "run=best images=/etc/hostname",
            ),
            *("run=best images=[", "run=best images=" + "x" * 5000, "run=best images=** output=xml", "images"),
        ),
        "export": (
            *("", "run=best", "format=torch", "run=best format=absent", "run=best format=torch", "run=best format="),
            *("run=best format=torch to=", "run=abc format=torch", "run=best format=torch to=/proc/x"),
        ),
        "serve": (
            *("abc", "-1", "65536", "1.5", "80 81", "\u0661", "", "999999999999999999999999", "--port=3", "0", "8000x"),
            "1e3",
        ),
        "ui": ("abc", "0", "65536", "80 81", "-1", "\u0661\u0662"),
    }
    for command, lines in named.items():
        for line in lines:
            yield Case(
                f"{command}'s arguments", f"{command} {line}"[:70], command, tuple(line.split(" ") if line else ())
            )
