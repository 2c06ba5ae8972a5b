"""The console command `querist`, also `python -m querist`."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from querist import __version__, show_config
from querist._journal_command import add_journal_command, journal_command

EXTRA = ("sklearn", "scipy", "matplotlib", "tqdm")  # the packages of the extra "demo"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments, by default the process's; give its exit code.

    0 is success, 1 a journal or data that cannot be used, 2 a wrong argument or a missing extra, 130 an end
    by Ctrl-C, 141 one by a reader of the output that has read enough.
    """
    arguments = _parser().parse_args(argv)
    try:
        code = _run(arguments)
        print(end="", flush=True)  # here, where an error of it can be told
    except KeyboardInterrupt:
        return 130  # what a shell gives a command that Ctrl-C ended
    except BrokenPipeError:  # as of `querist journal export run.db | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python's last flush fails again
        return 141  # what a shell gives a command that such an end has killed
    except (OSError, TypeError, ValueError) as error:
        print(f"querist {arguments.command}: {error}", file=sys.stderr)
        return 1
    return code


def _run(arguments: argparse.Namespace) -> int:
    if arguments.command == "info":
        return _info()
    if arguments.command == "journal":
        return journal_command(arguments)
    if not _has_extra(arguments.command):
        return 2
    if arguments.command == "demo":
        from querist._demo import demo

        demo(n_seeds=arguments.seeds, png=arguments.png, quick=arguments.quick)
    else:
        from querist import _simulate_command

        _simulate_command.run(arguments)
    return 0


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        if message.endswith("required: data"):
            message += "; write it before --strategies, which takes all names up to the next option"
        super().error(message)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="querist", description="The acquisition scorer for active learning.")
    parser.add_argument("--version", action="version", version=f"querist {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="show the version, the CPU features and the threads in use")
    demo = commands.add_parser(
        "demo",
        help="label handwritten digits actively, then score a pool of a million rows",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--seeds", type=_positive, default=10, help="repetitions of the experiment")
    demo.add_argument("--png", type=_output, default="querist-demo.png", help="the picture")
    demo.add_argument("--quick", action="store_true", help="fewer rounds, a smaller pool")
    add_journal_command(commands)
    _add_simulate(commands)
    return parser


def _add_simulate(commands: argparse._SubParsersAction[_Parser]) -> None:
    simulate = commands.add_parser(
        "simulate",
        help="try strategies on data whose labels are known: how many labels does each need?",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    simulate.add_argument("data", help="digits, iris, wine, breast_cancer, FILE.csv or FILE.npz (X and y)")
    simulate.add_argument("--target", help="the column of a CSV file with the labels, if not the last")
    simulate.add_argument(
        "--model",
        choices=("logistic", "forest", "naive_bayes", "nearest"),
        default="logistic",
        help="what learns",
    )
    simulate.add_argument(
        "--strategies",
        nargs="+",
        default=["random", "margin", "entropy"],
        metavar="NAME",
        help="what asks; all names up to the next option",
    )
    simulate.add_argument("--seeds", type=_positive, default=10, help="repetitions, each with another split")
    simulate.add_argument("--batch-size", type=_positive, default=10, help="labels in a round")
    simulate.add_argument("--growth", type=float, default=0.05, help="or this share of the labels in hand")
    simulate.add_argument("--max-labels", type=_positive, help="where to stop, if not at the end of the pool")
    simulate.add_argument("--jobs", type=_positive, default=os.cpu_count() or 1, help="processes")
    simulate.add_argument("--csv", type=_output, help="a file for the curves")
    simulate.add_argument("--png", type=_output, help="a picture of the curves")


def _positive(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"must be an integer of at least 1, got {text!r}") from None
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _output(text: str) -> Path:
    path = Path(text)
    if not os.path.isdir(path.parent):  # better now than after the experiment
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"expected a file, got the directory {path}")
    return path


def _has_extra(command: str) -> bool:
    if all(importlib.util.find_spec(package) for package in EXTRA):
        return True
    print(f"querist {command} needs the extra \"demo\": pip install 'querist[demo]'", file=sys.stderr)
    return False


def _info() -> int:
    config = {name: str(value) for name, value in show_config().items()}
    width = max(map(len, config))
    for name, value in config.items():
        print(f"{name:{width}}  {value}")
    return 0
