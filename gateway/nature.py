"""Which requests use tokens by their nature: for the log, the reports, and what sums rows up.

A row without tokens lacks them only if its request uses some.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .record import Outcome, Value

#: What only looks something up: models, files, a response that another request has made.
METHODS: Final = ("GET", "HEAD", "OPTIONS", "DELETE")
#: What only counts (the count is the answer), and what is done with batches but for their results.
COUNTING: Final = ("anthropic_count_tokens", "gemini_count_tokens", "anthropic_batches")
#: What was asked for long before it was looked up: a result of a batch.
BATCH_RESULT: Final = "anthropic_batch"


def uses_tokens(row: Mapping[str, Value]) -> bool:
    """Whether a request uses tokens by its nature, so that a row without any lacks them.

    Not so what was never sent, or was given another request's answer, what only looks something
    up, and what only counts.  Of the row, it takes ``outcome``, ``attempts``, ``method``,
    ``dialect`` and ``answer_of``.
    """
    return (
        row["outcome"] != Outcome.REJECTED
        and row["attempts"] != 0
        and (row["dialect"] == BATCH_RESULT or row["method"] not in METHODS)
        and (row["dialect"] == BATCH_RESULT or row["answer_of"] is None)
        and row["dialect"] not in COUNTING
    )
