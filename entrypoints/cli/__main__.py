"""`python -m entrypoints.cli`, for a checkout where the package is not installed."""

from entrypoints.cli.start import run

if __name__ == "__main__":  # a worker process imports this file too
    run()
