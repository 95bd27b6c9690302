"""txgateway: a streaming gateway for LLM traffic, run by ``twistd gateway``."""

from typing import Final

__version__: Final = "0.1.0"
