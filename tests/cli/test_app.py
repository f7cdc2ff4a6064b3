"""The commands as people type them: help, version, unknown words, closed pipes, the unforeseen."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.cli import edge
from harness.cli.app import app
from harness.explain import SORTS

COMMANDS = ["run", "check", "report", "serve", "replay", "shrink", "zoo", "doctor", "list", "explain", "init", "clean"]


def test_without_a_command_the_help_is_shown_and_lists_every_command(anachron):
    """`anachron` alone shows the help and succeeds."""
    answer = anachron()
    assert answer.status == 0
    assert all(f"\n  {command} " in answer.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_its_exit_status_and_an_example(anachron, command):
    """`anachron COMMAND --help` says what it does, how it ends, and gives an example."""
    answer = anachron(command, "--help")
    assert answer.status == 0
    assert "Exit status: 0" in " ".join(answer.out.split()) or "Exit status: the gravest" in answer.out
    assert f"Examples:\n    anachron {command}" in answer.out
    assert "..." not in answer.out.split("Options:")[0].replace("[PLAN]...", "").replace("faults, ...", "")


def test_version(shell):
    """`--version` names the program and its version."""
    assert shell("--version").out.startswith("anachron 0.")


def test_the_real_command_tells_a_mistyped_word_from_an_inconclusive_run(shell):
    """The command's own status is 254, not the 2 of the library that reads its arguments."""
    assert shell("rnu").status == 254


def test_help_loads_nothing_heavy():
    """Help answers at once: no numpy, pyarrow or pydantic is imported for it."""
    code = "import sys, harness.cli; print([m for m in ('numpy', 'pyarrow', 'pydantic', 'networkx') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "run"),
        (["run", "--sed", "3"], "--seed"),
        (["run", "--seed", "x"], "--seed"),
        (["run", "--workers", "0"], "--workers"),
        (["replay"], "RUN"),
        (["check"], "RUN|HISTORY"),
        (["list", "zebras"], "candidates"),
        (["list", "plan"], '"plans"'),
        (["explain", "partion"], "partition"),
        (["serve", "--port", "99999"], "--port"),
    ],
)
def test_what_cannot_be_used_ends_with_254_and_one_message(anachron, arguments, said):
    """A mistyped command line ends with 254, never with 2 (inconclusive), and says what is possible."""
    answer = anachron(*arguments)
    assert answer.status == 254
    assert answer.err.startswith("anachron: ")
    assert said in answer.err
    assert answer.out == ""


def test_the_unforeseen_ends_with_255_and_its_traceback_is_kept_in_a_file(monkeypatch, capsys, tmp_path):
    """Whatever goes wrong inside, people see one message, and the traceback is where the message says."""
    monkeypatch.setattr(sys, "argv", ["anachron", "init", str(tmp_path)])
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("harness.cli.starter.write_starter", lambda *_, **__: 1 / 0)
    with pytest.raises(SystemExit) as ended:
        edge.run_command(app)
    message = capsys.readouterr().err
    assert ended.value.code == 255
    assert "ZeroDivisionError" in message
    assert "Traceback" not in message
    kept = Path(message.rsplit(" ", 1)[1].strip())
    assert kept.parent == tmp_path
    assert "ZeroDivisionError" in kept.read_text()


def test_a_reader_that_goes_away_changes_no_exit_status():
    """`anachron list | head -0` ends with 0: a closed pipe must not read as a violation."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run([sys.executable, "-m", "harness.cli", "--version"], stdout=writing, stderr=subprocess.PIPE, check=False)
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_terminal_that_cannot_show_a_sign_still_gets_its_answer(tmp_path):
    """Under an ASCII locale signs are spelt out; the command does not fail over them."""
    (tmp_path / "h.csv").write_text("process,key,op,value,call_ns,return_ns\n0,x,w,1,0,10\n1,x,r,1,20,30\n")
    done = subprocess.run(
        [sys.executable, "-m", "harness.cli", "check", str(tmp_path / "h.csv")],
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert b"pass" in done.stdout
    assert done.stdout.isascii()


def test_the_help_of_list_names_every_sort(anachron):
    """The sorts that the help offers are those that there are."""
    help_text = anachron("list", "--help").out
    assert all(sort in help_text for sort in SORTS)
