"""`python -m monops`: the command line."""

from monops.cli import main

if __name__ == "__main__":
    main()
