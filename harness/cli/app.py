"""The commands of ``anachron``: their names, options and help. What they do is in the modules that they import.

Those imports stand inside the commands for one reason: numpy, pyarrow and pydantic take a second to load, and ``anachron --help``
needs none of them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.edge import run_command
from harness.cli.output import say
from harness.errors import FAILURE, PASS

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,  # help is plain text: quick, and the same in a pipe, a log and a terminal
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


RUNS = Path("runs")
RunsDir = Annotated[Path, typer.Option("--runs-dir", metavar="DIR", help="Where run directories are made.")]
RunsArgument = Annotated[Path, typer.Argument(metavar="RUNS_DIR", help="Where the run directories are.")]
Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run directory.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress while the run goes on.")]

_VERDICT = "0 pass, 1 violated, 2 inconclusive, 254 unusable input, 255 failure of the harness itself."


def main() -> None:
    """The entry point: run the command that the arguments name, and exit with its status."""
    run_command(app)


def _after(*examples: str, status: str) -> str:
    """What stands under a command's options: its exit status and examples."""
    lines = "\n".join(f"  {example}" for example in examples)
    return f"Exit status: {status}\n\n\b\nExamples:\n{lines}"


@app.callback(
    invoke_without_command=True,
    epilog=_after(
        "anachron doctor            what can this machine do?",
        "anachron run               the built-in plan, against real servers on this machine",
        "anachron explain plan      a whole plan, annotated: the start of your own",
        "anachron init              a plan and a nightly workflow for your repository",
        status=_VERDICT,
    ),
)
def anachron(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> int:
    """Anachron, the contract tester for caches.

    A team declares what its cache deployment promises. Anachron starts the real nodes, drives concurrent sessions against
    them, breaks the network and the processes on a seeded schedule, and answers from the recorded history: pass, violated
    (with the few operations that prove it), or inconclusive (with what the run did not exercise).
    """
    if version:
        from importlib.metadata import version as installed

        say(f"anachron {installed('anachron')}")
    elif context.invoked_subcommand is None:
        say(context.get_help())
    return PASS


@app.command(
    epilog=_after(
        "anachron run                                  the built-in plan",
        "anachron run fresh-replicas                   another shipped plan, by name",
        "anachron run anachron.toml --seed 12          your own, with another schedule",
        "anachron run nightly/*.toml --runs-dir out    several; the gravest verdict is the exit status",
        status=_VERDICT + " Of several plans the gravest counts, in the order 1, 255, 254, 2, 0: no violation is ever hidden.",
    )
)
def run(
    plans: Annotated[
        list[str] | None,
        typer.Argument(metavar="PLAN", help="Plan files, or names of shipped plans.", show_default="replication"),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", min=0, help="Take this seed, not the plan's.")] = None,
    duration: Annotated[str | None, typer.Option(metavar="TIME", help='How long sessions run, such as "30s" or "5min".')] = None,
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, max=64, help="Driver processes.")] = None,
    runs_dir: RunsDir = RUNS,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
    quiet: Quiet = False,
) -> int:
    """Run plans against real servers and judge them.

    Everything is checked before anything starts: a plan that asks for what this machine cannot do is refused. Progress goes
    to standard error; the verdict, the findings and, as the last line, the path of the report go to standard output. Ctrl-C
    heals all faults, stops all nodes, and judges what there is.
    """
    from harness.cli.runs import rehearse_plans, run_plans

    references = plans or ["replication"]
    changes = {"seed": seed, "run.duration": duration, "run.workers": workers}
    if dry_run:
        return rehearse_plans(references, changes=changes)
    return run_plans(references, changes=changes, runs_dir=runs_dir, quiet=quiet)


@app.command(
    epilog=_after(
        "anachron check runs/20260101T030000Z-replication-7",
        "anachron check RUN --plan stricter.toml       would this run have kept a stricter contract?",
        "anachron check history.edn                    a Jepsen history of a register",
        "anachron check history.csv --plan mine.toml --report verdict.html",
        status=_VERDICT,
    )
)
def check(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|HISTORY", help="A run directory, or a .parquet, .csv, .jsonl or .edn history.")
    ],
    plan: Annotated[
        str | None,
        typer.Option(metavar="PLAN", help="Judge by this plan's contract. Default: the run's own, or linearizability."),
    ] = None,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Write the HTML report here.")] = None,
) -> int:
    """Judge a recorded history again, offline.

    A run directory gives the verdict that its run gave, and its results and report are written again. That holds for a run
    that was killed, too: its history is put together from what it had written down. A history from elsewhere is held to the
    contract of --plan, or to linearizability where none is given.
    """
    from harness.cli.judging import check_source

    return check_source(source, plan, report)


@app.command(
    epilog=_after(
        "anachron report runs/20260101T030000Z-replication-7 --open",
        status="0 written, 254 no such run, 255 not all of them could be written.",
    )
)
def report(run: Run, open_it: Annotated[bool, typer.Option("--open", help="Open the report in the browser.")] = False) -> int:
    """Write the reports of a run again.

    Writes report.html, results.json, junit.xml and summary.md: for after an upgrade, or when a report got lost. The history
    is judged again on the way; the exit status says whether the reports were written, not what they say (that is what
    `anachron check` is for).
    """
    from harness.cli.judging import write_reports

    return write_reports(run, open_it=open_it)


@app.command(
    epilog=_after(
        "anachron serve",
        "anachron serve nightly/runs --port 9000",
        status="0 when stopped with Ctrl-C, 254 no such directory, or the port is taken.",
    )
)
def serve(
    runs_dir: RunsArgument = RUNS,
    port: Annotated[int, typer.Option(metavar="N", min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 8808,
) -> int:
    """Show all runs and their verdicts in the browser.

    The newest come first, with links to their reports. Listens on 127.0.0.1 only, and shows the files of reports only. Stop
    it with Ctrl-C.
    """
    from harness.serve import serve_runs

    return serve_runs(runs_dir, port, say)


@app.command(
    epilog=_after(
        "anachron replay runs/20260101T030000Z-replication-7",
        "anachron replay RUN --times 10                how often does the finding come back?",
        status="the gravest of the replays' own, in the order 1, 255, 254, 2, 0.",
    )
)
def replay(
    run: Run,
    times: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="How often.")] = 1,
    runs_dir: Annotated[
        Path | None,
        typer.Option("--runs-dir", metavar="DIR", help="Where new run directories are made.", show_default="beside RUN"),
    ] = None,
    quiet: Quiet = False,
) -> int:
    """Run a run's plan again: does it fail again?

    Runs the frozen plan with the same seed and says how often each verdict and each finding came, with a 95 % (Wilson)
    interval. The seed fixes the plan: sessions, keys, fault schedule. It does not fix the scheduler of the operating system,
    so a rare race may take many tries.
    """
    from harness.cli.replays import replay_run

    return replay_run(run, times, runs_dir=runs_dir, quiet=quiet)


@app.command(
    epilog=_after(
        "anachron shrink runs/20260101T030000Z-replication-7",
        "anachron shrink RUN --finding node-regress    another finding than the most telling one",
        "anachron shrink history.csv                   a history from elsewhere",
        status="0 shrunk, 254 no such run, or it has no such finding, 255 the outcome could not be written.",
    )
)
def shrink(
    source: Annotated[
        Path, typer.Argument(metavar="RUN|HISTORY", help="A run directory, or a .parquet, .csv, .jsonl or .edn history.")
    ],
    finding: Annotated[
        str | None, typer.Option(metavar="NAME", help="What is to be shown with less.", show_default="the most telling finding")
    ] = None,
    plan: Annotated[
        str | None, typer.Option(metavar="PLAN", help="Judge by this plan's contract. Default: as `anachron check`.")
    ] = None,
    to: Annotated[Path | None, typer.Option(metavar="DIR", help="Where to put it.", show_default="shrunk/ in RUN")] = None,
    seconds: Annotated[int, typer.Option(metavar="N", min=1, max=86_400, help="How long to try.")] = 60,
    quiet: Quiet = False,
) -> int:
    """Shrink a run to the few operations that prove a finding.

    Leaves out operations and fault episodes for as long as the same checker still finds the same, under the same contract.
    What is left is drawn, and written as a run directory of its own, DIR/NAME, that `anachron check` judges again. Where the
    run was simulated, its plan is shrunk, too: fewer faults, sessions and keys, a shorter run, for as long as the same
    finding comes; the smallest plan is written to DIR/NAME.toml.
    """
    from harness.cli.shrinking import shrink_source

    return shrink_source(source, finding=finding, plan=plan, to=to, seconds=seconds, quiet=quiet)


@app.command(
    epilog=_after(
        "anachron zoo                       everything, in a few minutes",
        "anachron zoo --bug blind-refill    one bug, forced and at random",
        "anachron zoo --seeds 30            the nightly one",
        "anachron zoo --runtime docker      the same on real fleets in containers, in a quarter of an hour",
        status="0 every bug caught and nothing else, 1 a miss or a false alarm, 2 a real run showed nothing, 254 no such bug, "
        "255 a run could not be made.",
    )
)
def zoo(
    seeds: Annotated[
        int, typer.Option(metavar="N", min=1, max=10_000, help="Runs of each strategy in each scenario; of each bug 10 or more.")
    ] = 3,
    bug: Annotated[str | None, typer.Option(metavar="NAME", help="Only this bug.", show_default="everything")] = None,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=256, help="Processes at once.", show_default="one for each core")
    ] = None,
    runtime: Annotated[str, typer.Option(metavar="NAME", help="simulated; or process or docker, for real fleets.")] = "simulated",
    out: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Where to write report.html, results.json and matrix.md; DIR/docker gets the runs and results of real fleets.",
        ),
    ] = RUNS / "zoo",
    quiet: Quiet = False,
) -> int:
    """Do the checkers still bite? Run every known bug and every correct strategy.

    The reference fleet is simulated: each bug by the schedule that brings it out, which must lead to its findings and no
    others, and to none on the correct strategy; each bug at random, to see how often it is detected; each correct strategy
    under every fault at every place, which must not break its promise. Prints the matrix of it all and writes it as a page.

    With --runtime process or docker the same fleet is real: each bug by its schedule, on the broken strategy and on the correct
    one; each correct strategy once, driven at random while a link is cut, a node is paused and another one killed. What only
    virtual time can show is named, with the reason. --seeds and --jobs have no effect there.
    """
    from harness.cli.zoo import named, run_zoo

    if runtime != "simulated":
        from harness.cli.zoo_alive import run_alive
        from harness.reference.zoo import all_bugs, designs

        bugs, strategies = ((named(bug),), ()) if bug else (tuple(all_bugs()), tuple(designs()))
        return run_alive(runtime=runtime, bugs=bugs, strategies=strategies, out=out, quiet=quiet)
    return run_zoo(seeds=seeds, bug=bug, processes=jobs, out=out, quiet=quiet)


@app.command(
    epilog=_after(
        "anachron cost                       a fleet of 100 nodes",
        "anachron cost --nodes 12 --reads 200 --writes 5",
        status="0 answered.",
    )
)
def cost(
    nodes: Annotated[int, typer.Option(metavar="N", min=3, max=10_000, help="The size of the fleet that is asked about.")] = 100,
    keys: Annotated[int, typer.Option(metavar="N", min=1, max=1_000, help="Keys that all nodes share.")] = 20,
    reads: Annotated[float, typer.Option(metavar="N", min=0.1, max=10_000, help="Reads a second at each node.")] = 40,
    writes: Annotated[float, typer.Option(metavar="N", min=0.1, max=10_000, help="Writes a second in the whole fleet.")] = 20,
    check: Annotated[bool, typer.Option(help="Count on virtual fleets, too: takes some minutes.")] = True,
    real: Annotated[bool, typer.Option(help="Count on real processes, too, at 3, 6 and 12 nodes; not with --no-check.")] = True,
    jobs: Annotated[
        int | None, typer.Option(metavar="N", min=1, max=256, help="Processes at once.", show_default="one for each core")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where to write report.html and results.json.")] = RUNS / "cost",
    quiet: Quiet = False,
) -> int:
    """What does coherence cost? When is bounded drift better than exactness?

    For every strategy of the reference fleet, from 3 to 10,000 nodes: how stale reads get, how long a write takes, how many
    messages it brings about, what the source of truth has to bear, what nodes keep beside values, and who still has answers
    while one node is cut off. By closed forms, which are checked by counting: on virtual fleets of some sizes, and on fleets of
    real processes on this machine, under a small load of their own.
    """
    from harness.cli.cost import run_cost
    from harness.cost.study import Question

    question = Question(keys=keys, reads=reads, writes=writes)
    return run_cost(nodes=nodes, question=question, check=check, real=real, processes=jobs, out=out, quiet=quiet)


@app.command(epilog=_after("anachron doctor", status="0 the built-in plan can run here, 255 it cannot."))
def doctor(runs_dir: RunsDir = RUNS) -> int:
    """Say what this machine can do, and how to get the rest.

    Looks at Python, the system, server programs and their versions, what each runtime can do here, disk space, the clock,
    and what killed runs may have left behind. Changes nothing.
    """
    from harness.doctor import examine

    diagnosis = examine(runs_dir)
    say(str(diagnosis))
    return PASS if diagnosis.healthy else FAILURE


@app.command(name="list", epilog=_after("anachron list", "anachron list faults", status="0, 254."))
def list_names(
    sort: Annotated[
        str | None,
        typer.Argument(
            metavar="SORT",
            help="plans, candidates, workloads, faults, checkers, runtimes, strategies or bugs.",
            show_default="all of them",
        ),
    ] = None,
) -> int:
    """List plans, candidates, workloads, faults, ...

    Says a sentence about each: built in, and from installed packages. `anachron explain NAME` tells more.
    """
    from harness.explain import overview

    say(overview(sort))
    return PASS


@app.command(
    epilog=_after(
        "anachron explain plan                   a whole plan, annotated",
        "anachron explain partition              a fault and its options",
        "anachron explain stale-read             what a finding means",
        "anachron explain staleness.steady       a key of a plan",
        "anachron explain blind-refill           a bug: how it comes about, step by step",
        "anachron explain --pages reference      everything, as Markdown pages",
        status="0, 254 unknown name.",
    )
)
def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A plan, candidate, workload, fault, finding, strategy, bug, key."),
    ] = None,
    pages: Annotated[Path | None, typer.Option(metavar="DIR", help="Write a reference of everything as Markdown.")] = None,
) -> int:
    """Explain a name: meaning, options, example.

    Knows every shipped plan, candidate, workload, fault, checker and runtime, every finding that a report can name, every
    strategy and bug of the reference fleet with the schedules that bring the bugs out, and every key of a plan. What it says
    comes from the code itself. Without a name it lists what there is.
    """
    from harness.explain import explain as explanation
    from harness.explain import overview, write_pages

    if pages is not None:
        for path in write_pages(pages):
            say(str(path))
    if name is not None or pages is None:
        say(explanation(name) if name else overview())
    return PASS


@app.command(
    epilog=_after(
        "anachron init",
        "anachron init services/cache --force",
        status="0 written, 254 a file is in the way, 255 it could not be written.",
    )
)
def init(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="Root of your repository.", show_default=".")] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
) -> int:
    """Write a plan and a nightly workflow into a repository.

    Writes anachron.toml, a plan with a comment on every key, and .github/workflows/anachron.yml, which runs it every night
    and keeps the report. Nothing is overwritten without --force, and nothing is written if one of them is in the way.
    """
    from harness.cli.starter import write_starter

    return write_starter(directory, force=force)


@app.command(
    epilog=_after(
        "anachron clean",
        "anachron clean nightly/runs",
        status="0 clean, 254 no such directory, 255 something could not be removed.",
    )
)
def clean(runs_dir: RunsArgument = RUNS) -> int:
    """Stop and remove what killed runs have left.

    That is server processes and half-written files, and on the Docker engine containers, networks and packet rules. A
    process counts as left over only if a run recorded its id and its start time and that run's own process is gone; so does
    what bears the label of a run. Runs that still go on are not touched, nor are histories and reports.
    """
    from harness.cli.cleaning import sweep_leftovers

    return sweep_leftovers(runs_dir)


images = typer.Typer(
    rich_markup_mode=None,
    context_settings=app.info.context_settings,
    help="""List and build the images that containers run from.

    Nodes run from the official images (redis:7.2, valkey/valkey:8, memcached:1.6, postgres:16, varnish:7.5, nginx:1.27), which
    `docker pull` brings, unless the plan names another: image = "redis:8" under [candidate]. Where no registry can be reached,
    `anachron images build` makes equivalents out of Debian's packages, called by the version that is really in them
    (anachron/redis:7.0.15) and never by an official name. Two images nobody publishes, so they are always built: the agent,
    which bends the network and the clocks, and app, a node with Python and the usual clients.

    An official image counts before ours. Reports say which one a run used, with its digest.""",
)
app.add_typer(images, name="images")


@images.callback(invoke_without_command=True)
def _images(context: typer.Context) -> int:
    if context.invoked_subcommand is None:
        say(context.get_help())
    return PASS


@images.command(name="list", epilog=_after("anachron images list", status="0, 254 no Docker engine answers."))
def list_images() -> int:
    """List the images that are there, and what brings the rest.

    Says of each whether the engine has the official image, ours, or both, with size and digest.
    """
    from harness.cli.images import list_images as listed

    return listed()


@images.command(
    name="build",
    epilog=_after(
        "anachron images build                   whatever is missing or out of date",
        "anachron images build redis valkey      these, even where the official ones are there",
        "anachron images build --force           all of them, afresh",
        status="0 they are there, 254 unknown name or no Docker engine, 255 a build failed.",
    ),
)
def build_images(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", help="agent, app, memcached, nginx, postgres, redis, valkey, varnish.", show_default="missing"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Build again what is there, without the engine's cache.")] = False,
) -> int:
    """Build our own images.

    Without a name: those of which neither the official image nor ours is there, and ours that an older Anachron has built.
    They are built on debian:bookworm-slim; where that cannot be pulled, an equivalent is made from the package sources of this
    machine, which takes mmdebstrap and a Debian or Ubuntu system. All of them take about two minutes on two cores.
    """
    from harness.cli.images import build

    return build(names or [], force=force)
