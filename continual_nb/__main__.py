import os
import sys


def main() -> int | None:
    "The program `continual`; while `continual run` lasts, what it starts begins in a process that has imported the libraries (cli.warm)."
    if os.environ.get("CONTINUAL_WARM") and sys.argv[1:2] in (["stage"], ["dvc"]):
        from continual_nb.cli.warm import begin

        return begin(sys.argv[1:])
    from continual_nb.cli.main import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
