"""Options of a user about a table of runs."""

import shlex
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Given:
    """Options of a user, which override every guess; "" and None guess.

    `measure` is a column and `name` a name for it; `n` is a number of runs or a column; `test_share` is n_test / n_train.
    """

    variant: str = ""
    factors: tuple[str, ...] = ()
    measure: str = ""
    name: str = ""
    better: str = ""
    unit: str = ""
    repeat: str = ""
    block: str = ""
    fold: str = ""
    test_share: float | None = None
    baseline: str = ""
    n: int | str | None = None
    sd: str = ""

    def as_options(self) -> list[str]:
        """The options that were given, as the command line writes them."""
        found = []
        for each in fields(self):
            value = getattr(self, each.name)
            option = "--" + {"factors": "factor"}.get(each.name, each.name).replace("_", "-")
            values = value if isinstance(value, tuple) else () if value in ("", None) else (value,)
            found += [f"{option} {shlex.quote(str(one))}" for one in values]
        return found
