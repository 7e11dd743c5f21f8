"""A module that does nothing, and does it anew every time: what any module in Python costs."""

from typing import Annotated

import dagger
from dagger import DefaultPath, Doc, Ignore, function, object_type


@object_type
class Nothing:
    """Nothing."""

    source: Annotated[dagger.Directory, DefaultPath("/"), Ignore([".git"]), Doc("The repository")]

    @function(cache="never")
    def full_pipeline(self) -> str:
        """Do nothing."""
        return "nothing"
