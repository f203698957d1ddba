"""stub"""

from typing import Any

RunInProgress = Any
