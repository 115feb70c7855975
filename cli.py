"""fixgrid's command line: the group of commands, settings, errors and exit codes."""

from __future__ import annotations

import os
import sys

COMMANDS = (
    "extract", "plan", "search", "fit-head", "grid", "predict", "evaluate", "export", "export-features",
    "report", "duplicates", "label-errors", "nearest", "zero-shot", "models", "doctor", "cache", "heads",
)  # fmt: skip
"""Each is a file of `fixgrid.commands`."""

try:
    import io
    from importlib import import_module
    from typing import Any

    import click

    from fixgrid import __version__
    from fixgrid.cache.causes import say_cure
    from fixgrid.cache.errors import DiskError, FixgridError, Interrupted, UsageError, say_typed
    from fixgrid.commands.usage import Group

    _FILES = {name: import_module(f"fixgrid.commands.{name.replace('-', '_')}") for name in COMMANDS}
except KeyboardInterrupt:  # there is no command yet that could say more
    os.write(2, b"Error: stopped.\n")
    raise SystemExit(130) from None


class _Failure(click.ClickException):
    """A known failure: one line on stderr and its own exit code."""

    def __init__(self, error: FixgridError) -> None:
        super().__init__(str(error))
        self.exit_code = error.exit_code  # type: ignore[misc]


class _Commands(Group):
    """Turns every known error of a command into its line and exit code."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """See `Group`."""
        try:
            return super().parse_args(ctx, args)
        except FixgridError as error:
            raise _Failure(error) from error
        except KeyboardInterrupt:
            raise _Failure(Interrupted("stopped.")) from None

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command that is named."""
        try:
            return super().invoke(ctx)
        except Interrupted as error:
            raise _Failure(Interrupted(f"{error} Resume with: {say_typed()}")) from error
        except FixgridError as error:
            raise _Failure(error) from error
        except ModuleNotFoundError as error:
            if str(error.name).partition(".")[0] == "fixgrid":
                raise
            lacking = f"found no package {error.name} in {sys.executable}; expected those of requirements.txt: "
            raise _Failure(UsageError(f"{lacking}make setup, then . .venv/bin/activate")) from error
        except BrokenPipeError:
            raise  # whoever read the output has enough of it: click ends quietly
        except OSError as error:
            where = "" if error.filename else " (where the output goes, or TMPDIR)"
            cure = f"Everything committed before is safe; {say_cure(error)} and run again."
            raise _Failure(DiskError(f"{error}{where}. {cure}")) from error
        except KeyboardInterrupt:
            raise _Failure(Interrupted(f"stopped. Resume with: {say_typed()}")) from None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80})
@click.version_option(__version__, prog_name="fixgrid")
def main() -> None:
    """Find the train x test resolution and the linear head that classify your images best.

    A frozen trunk runs once per split and resolution; its pooled features are cached, and heads train on
    them in seconds. Start with: extract, then fit-head, then grid.

    Options may also come from the environment (FIXGRID_DATA, FIXGRID_RES, ...) or from fixgrid.toml.
    """
    # Streams that the caller closed: the next file opened would receive what is printed.
    while (spare := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(spare)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a class that Latin-1 cannot print is escaped
        sys.stdout.reconfigure(errors="backslashreplace")


for _name, _file in _FILES.items():
    main.add_command(getattr(_file, _name.replace("-", "_")))


if __name__ == "__main__":
    main()
