import os
import sys


def continual() -> int | None:
    "Run the command line; returns its exit code."
    from continual_nb.cli.main import main as command_line

    return command_line()


def serve(listener: int, owner: int) -> None:
    "Start programs from a process that has imported the libraries (loop.warm)."
    from continual_nb.loop.warm import serve as serve_programs

    serve_programs(listener, owner, continual)


def main() -> int | None:
    "The program `continual`; while `continual run` lasts, what it starts begins warm (loop.warm)."
    if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:
        del sys.path[0]  # of `python -m`: nothing is imported from the folder that is looked at
    if os.environ.get("CONTINUAL_WARM") and sys.argv[1:2] in (["stage"], ["dvc"]):
        from continual_nb.loop.warm import begin

        return begin(sys.argv[1:], continual)
    if sys.argv[1:2] == ["serve-warm"]:
        return serve(*map(int, sys.argv[2:]))
    return continual()


if __name__ == "__main__":
    sys.exit(main())
