"""`python -m etdb.cli`: the same as `etdb`."""

from etdb.cli import main

if __name__ == "__main__":
    main()
