"""Hydra's sweeper plugin for searches: light until every end of every range has passed."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from recurrent_cells.sweeps.search.settings import SearchSettings, checked
from recurrent_cells.sweeps.search.space import read_space
from recurrent_cells.sweeps.sweeper import TrialSweeper

if TYPE_CHECKING:
    from recurrent_cells.sweeps.sweep import Swept


class OptunaSweeper(TrialSweeper):
    """Trials that Optuna proposes from the ranges on the command line and in `hydra.sweeper.params`."""

    def __init__(self, params: Mapping[str, str] | None = None, **settings: Any) -> None:
        super().__init__(params)
        self.search = SearchSettings(**settings | {"objectives": tuple(settings["objectives"])})

    def sweep(self, arguments: list[str]) -> "Swept | None":
        """Run the search; returns and raises as `run_search` does."""
        checked(self.search)
        space = read_space(self.loader, self.config, self.params, arguments)
        corners = space.corners()
        if self.search.sampler == "grid":
            space.grid(self.search.seed)

        from recurrent_cells.sweeps.search.search import run_search

        return run_search(space, corners, self.search, self.runner(arguments))
