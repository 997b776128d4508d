"""Command lines that must be refused."""

from collections.abc import Iterator
from itertools import islice

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


def cases(every: int = 1) -> Iterator[Case]:
    """All command lines; of the values of keys each so-manieth."""
    yield from map(_train, islice(_of_the_schema(), 0, None, every))
    for name, lines in (
        ("too large", _too_large()),
        ("flags", _flags()),
        ("overrides", _overrides()),
        ("sweeps", _sweeps()),
        ("searches", _searches()),
        ("cells", _cells()),
        ("phases and archives", _phases_and_archives()),
        ("extensions' paths", _extensions()),
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
    yield from ("trainer.max_seconds=0", "trainer.max_seconds=-1", "trainer.max_seconds=inf", "trainer.max_seconds=1h")
    yield from ("data.order=by_size", "data.order=null", "data.order=[by_length]", "data.order=3")
    yield from ("model.match=parameters:0", "model.match=parameters:-5", "model.match=parameters:1e5")
    yield from ("model.match=parameter:100", "model.match=parameters:", "model.match=100", "model.match=parameters:7")
    yield from ("model.match=parameters:999999999999999", "model.match=parameters:9999999999999999", "model.match=[a]")
    yield from ("model.block=Residual", "model.block=true", "model.block=null", "model.block=[residual]")


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


def _cells() -> Iterator[tuple[str, ...]]:
    """Settings that a cell does not have, or not with such a value."""
    for line in (
        *(
            "model.options=3",
            "model.options=[a]",
            "model.options=abc",
            "model.options={absent:1}",
            "model.options=null",
        ),
        *("model.options.absent=1", "model.options.=1", "+model.options.absent=1", "model.options.forget_gate={a:1}"),
        "model.options={" + ",".join(f"a{number}:1" for number in range(2000)) + "}",
    ):
        yield (line,)
    for cell, option, *values in (
        ("lem", "dt", "0", "-1", "2", "nan", "abc", "[1]", "null", "{a:1}"),
        ("indrnn", "steps", "0", "1.5", "abc", "true", HUGE),
        ("s4d", "state_size", "0", "3", "-2", "1000000000000", "abc"),
        ("s6", "state_size", "0", "abc", "1000000000"),
        ("cornn", "gamma", "-1", "nan", "abc"),
        ("cornn", "dt", "0", "abc"),
        ("slstm", "heads", "0", "7", "abc", "1000"),
        ("slstm", "forget_gate", "abc", "1", "[sigmoid]", "null"),
        ("delta_net", "heads", "0", "7", "abc"),
        ("delta_net", "max_beta", "0", "3", "abc"),
        ("lru", "r_min", "-1", "2", "abc"),
        ("lru", "max_phase", "0", "abc", "inf"),
        ("lstm", "variant", "abc", "3", "null", "[standard]"),
        ("lstm", "peepholes", "abc", "3", "null"),
        ("janet", "beta", "-1", "nan", "abc"),
    ):
        yield from ((f"model={cell}", f"model.options.{option}={value}") for value in values)
    yield ("model=lstm", "model.options.state_size=32")
    yield ("model=gru", "model.options.dt=0.5")
    yield ("-m", "model=lem,gru", "model.options.dt=0.5,0.25")
    yield ("-m", "model=s4d", "model.options.state_size=16,3")
    yield ("model=lru", "model.options.r_min=0.9", "model.options.r_max=0.5")
    yield ("-m", "model=lstm,gru", "model.match=parameters:82186,parameters:9")
    yield ("model.match=parameters:10000", "model.num_layers=1000")
    yield ("optimizer.schedule=cosine", "trainer.max_seconds=5")
    yield ("model=s6", "model.kernel=numpy")
    yield ("model=lru", "model.kernel=torch")
    yield ("model=lstm", "model.kernel=scan")


def _phases_and_archives() -> Iterator[tuple[str, ...]]:
    phases = "sweep.phases=[{seed:'8,9',optimizer.lr:'1e-3,1e-2'},{seed:'0,1'}]"
    for value in (
        *("3", "abc", "[1,2]", "[a,b]", "{seed:'1'}", "[{seed:'1'}]", "[{seed:'1'},{seed:'2'},{seed:'3'}]", "null"),
        *("[{seed:1},{seed:2}]", "[{seed:'1'},{seed:'1'}]", "[{seed:'1,2'},{seed:'2,3'}]", "[{seed:''},{seed:'1'}]"),
        *("[{absent:'1'},{seed:'2'}]", "[{seed:'abc'},{seed:'2'}]", "[{seed:'1'},{seed:'abc'}]", "[[],[]]"),
        *("[{seed:'1',optimizer.lr:'0'},{seed:'2'}]", "[{seed:'1',model:'foo,gru'},{seed:'2'}]", "[null,null]"),
        *("[{seed:'1',optimizer.lr:'interval(0,1)'},{seed:'2'}]", "[{seed:'range(0,1000000000)'},{seed:'2'}]"),
        *("[{seed:'1',sweep.retries:'1,2'},{seed:'2'}]", "[{seed:'1',hydra.launcher.slots:'1,2'},{seed:'2'}]"),
        *("[{seed:'1',sweep.parent:'abc'},{seed:'2'}]", "[{seed:'['},{seed:'2'}]", "[{'=':'1'},{seed:'2'}]"),
        "[{seed:'1'},{seed:'2',tracking.experiment:'a,b'}]",
    ):
        yield ("-m", f"sweep.phases={value}")
    yield (phases,)
    yield ("-m", phases, "hydra/sweeper=optuna", "model.hidden_size=8,16")
    yield ("-m", phases, "hydra/sweeper=basic", "model.hidden_size=8,16")
    yield ("-m", phases, "sweep.until=decided", "seed=0")
    yield ("-m", phases, "sweep.until=decided", "sweep.max_seeds=1")
    yield ("sweep.archive=trials.parquet",)
    yield ("-m", "seed=0,1", "hydra/sweeper=basic", "sweep.archive=trials.parquet")
    for place in (
        *("", ".", "/", "..", "/dev/zero", "/dev/null", "/proc/self/mem", "/proc/absent/a.parquet", "[a]", "a,b"),
        *("/etc/hostname/a.parquet", "x" * 300, "/" + "x/" * 3000 + "y", "/dev/null/x", "'a\x00b'", "{folder}"),
    ):
        yield ("-m", "seed=0,1", f"sweep.archive={place}")
        if place.startswith("/dev"):
            yield ("-m", "hydra/sweeper=optuna", "model.hidden_size=8,16", f"sweep.archive={place}")
            yield ("-m", "seed=0,1", "sweep.dry_run=true", f"sweep.archive={place}")


def _extensions() -> Iterator[tuple[str, ...]]:
    for value in (
        *(
            "[]]",
            "abc",
            "[abc]",
            "[../absent.py]",
            "[{folder}]",
            "[{folder}/absent.py]",
            "[null]",
            "[3]",
            "[[]]",
            "null",
        ),
        *("[/dev/null]", "[/dev/stdin]", "[/proc/self/environ]", "['']", "[ ]x", "[" + "x" * 5000 + "]", "{a:1}", "3"),
        *("['a\x00b']", "[https://localhost/cell.py]", "[/etc/hostname,/etc/hostname]"),
    ):
        yield (f"extensions={value}",)
    yield ("-m", "seed=0,1", "extensions=[{folder}/absent.py]")
    yield ("-m", "seed=0,1", "extensions=[/dev/null]", "sweep.dry_run=true")


def _other_commands() -> Iterator[Case]:
    """Of the commands that read what was trained, in a store without a finished trial."""
    named = {
        "report": (
            *("sweep=abc", "sweep=", "sweep", "absent=1", "metric=absent", "sweep=latest", "sweep=a,b", "--foo"),
            *("sweep=%", "sweep='; drop table runs;--", "sweep=" + "x" * 5000, "sweep=\x00"),
            *(
                "margin=abc",
                "margin=0",
                "margin=-1",
                "margin=inf",
                "margin=",
                "format=xml",
                "format=",
                "format=csv,pdf",
            ),
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
        "watch": (
            *("abc", "-1", "65536", "1.5", "80 81", "\u0661", "--port=3", "sweep=", "sweep=abc", "sweep=latest 0"),
            *("port=", "port=abc", "absent=1", "sweep='", "sweep=" + "x" * 5000, "sweep=a,b 0", ""),
        ),
        "stop": (
            *("", "run=", "run=abc", "sweep=", "sweep=abc", "sweep=latest", "run=abc sweep=abc", "run=abc skip=abc"),
            *("skip=abc", "reason=abc", "sweep=latest skip=abc", "absent=1", "--foo", "run='", "run=" + "x" * 5000),
            *("sweep=" + "x" * 5000, "run=%", "sweep=%", "sweep=a,b", "run=../../etc"),
        ),
        "check": (
            *("sweep=abc", "sweep=", "baseline=absent", "margin=abc", "margin=-1", "margin=inf", "margin=nan", "--foo"),
            *(
                "junit=",
                "write=",
                "sweep=latest",
                "absent=1",
                "sweep=a,b",
                "baseline=/dev/zero",
                "baseline=/etc/hostname",
            ),
        ),
        "doctor": ("abc", "--foo", "sweep=latest"),
    }
    for command, lines in named.items():
        for line in lines:
            yield Case(
                f"{command}'s arguments", f"{command} {line}"[:70], command, tuple(line.split(" ") if line else ())
            )
