"""The console command `querist`, also `python -m querist`."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path

from querist import show_config
from querist._journal_command import add_journal_command, journal_command

EXTRAS = {"demo": ("sklearn", "scipy", "matplotlib", "tqdm")}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments, by default the process's; give its exit code.

    0 is success, 1 a journal that cannot be read, 2 a wrong argument or a missing extra, 130 an end by
    Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    if arguments.command == "info":
        return _info()
    if arguments.command == "journal":
        return journal_command(arguments)
    if not _has_extra("demo"):
        return 2
    from querist._demo import demo

    try:
        demo(n_seeds=arguments.seeds, png=arguments.png, quick=arguments.quick)
    except KeyboardInterrupt:
        return 130  # what a shell gives a command that Ctrl-C ended
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="querist", description="The acquisition scorer for active learning."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    commands.add_parser("info", help="show the version, the CPU features and the threads in use")
    demo = commands.add_parser(
        "demo",
        help="label handwritten digits actively, then score a pool of a million rows",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    demo.add_argument("--seeds", type=_positive, default=10, help="repetitions of the experiment")
    demo.add_argument("--png", type=_picture, default="querist-demo.png", help="the picture")
    demo.add_argument("--quick", action="store_true", help="fewer rounds, a smaller pool")
    add_journal_command(commands)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _picture(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():  # better now than after the experiment
        raise argparse.ArgumentTypeError(f"there is no directory {path.parent}")
    return path


def _has_extra(command: str) -> bool:
    if all(importlib.util.find_spec(package) for package in EXTRAS[command]):
        return True
    print(
        f"querist {command} needs the extra \"{command}\": pip install 'querist[{command}]'",
        file=sys.stderr,
    )
    return False


def _info() -> int:
    config = {name: str(value) for name, value in show_config().items()}
    width = max(map(len, config))
    for name, value in config.items():
        print(f"{name:{width}}  {value}")
    return 0
