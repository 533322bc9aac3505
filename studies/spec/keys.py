"""Keys that `[base]`, grids and exclusions of a study may name: settings of networks, or arguments of a user's function."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from studies.spec import settings
from studies.spec.components import BUILT_IN, Known
from studies.spec.settings import DEFAULTS, Settings, require_setting


class Keys(Protocol):
    """The parts that the keys of a study have."""

    @property
    def defaults(self) -> Mapping[str, Any]:
        """Every key with its default."""

    def resolve(self, settings: Settings, where: str) -> dict[str, Any]:
        """Settings with every default filled in. Raises UserError, which begins with `where`, for a wrong one."""

    def require(self, where: str, key: str, what: str) -> None:
        """Raise UserError unless `key` is one of the keys."""

    def value_at(self, settings: Settings, key: str) -> Any:  # noqa: ANN401
        """The value under a key of resolved settings."""


@dataclass(frozen=True)
class NetworkKeys:
    """The settings of networks, with their components by setting."""

    known: Known

    @property
    def defaults(self) -> Mapping[str, Any]:
        return DEFAULTS

    def resolve(self, given: Settings, where: str) -> dict[str, Any]:
        return settings.resolve(given, where, self.known)

    def require(self, where: str, key: str, what: str) -> None:
        require_setting(where, key, what)

    def value_at(self, resolved: Settings, key: str) -> Any:  # noqa: ANN401
        return settings.value_at(resolved, key, self.known)


NETWORKS = NetworkKeys(BUILT_IN)
