"""Models of the library transformers: from a folder, from the cache of the Hugging Face hub, or downloaded."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

from abaw.core.errors import ConfigError, DataError
from abaw.core.extras import load_extra
from abaw.core.hub import hub_cache, hub_is_reachable, hub_page
from abaw.core.text import one_line

_NAME: Final = re.compile(r"[\w-][\w.-]*(/[\w.-]+)?", re.ASCII)


class HubModel:
    """Where a model is read from: a folder, or a name of the hub. Raises DataError for a path that is no folder.

    name: for the loaders of transformers; options: further arguments of theirs.
    """

    def __init__(self, argument: str, example: str) -> None:
        """example: a name, for messages."""
        folder = Path(argument).expanduser()
        self.is_folder = folder.is_dir()
        if not self.is_folder and (folder.exists() or not _NAME.fullmatch(argument)):
            raise DataError(
                f"hf:{argument}: neither a folder nor a name of the hub; give a folder with config.json and "
                f"model.safetensors, or a name such as {example}"
            )
        self.name = str(folder) if self.is_folder else argument
        self.options: dict[str, Any] = {
            "local_files_only": self.is_folder or not hub_is_reachable(),
            "trust_remote_code": False,
        }

    def fault(self, error: Exception, what: str) -> ConfigError | DataError:
        """The error for something that could not be read."""
        if self.is_folder:
            return DataError(f"{self.name}: {what} cannot be read ({one_line(error)}); copy the folder again")
        reason = "no network" if self.options["local_files_only"] else one_line(error)
        return ConfigError(
            f"hf:{self.name}: is not in the cache ({hub_cache()}) and cannot be downloaded ({reason}); without a "
            f"network, download config.json, preprocessor_config.json and model.safetensors from {hub_page(self.name)} "
            "elsewhere into a folder, and give hf:FOLDER"
        )


def transformers_library() -> Any:
    """The library transformers, silenced. Raises MissingLibraryError when it is not installed."""
    library = load_extra("transformers", "hf")
    # It says what this module says more plainly, on many lines.
    library.utils.logging.set_verbosity_error()
    library.utils.logging.disable_progress_bar()
    return library
