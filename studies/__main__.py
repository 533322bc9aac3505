"""`python -m studies` is `ablation`."""

from studies.cli import main

main()
