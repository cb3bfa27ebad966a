"""Every error Hasten raises, in one tree.

Owns the tree and what each error carries; leaves the HTTP status to
``serve/problems`` and the exit code to ``cli``. Every room raises from here.

::

    HastenError                    .code  .retryable
    ├── InvalidInput               .field .value .allowed   the caller's fault, names the field
    ├── NotFound                   no such app, run, key
    ├── Unauthenticated            no credential, or one nobody knows
    ├── Forbidden                  a known caller who may not do this
    ├── SettingsError              a setting is wrong or two contradict each other
    ├── MissingExtra               an optional part is not installed; says the line that installs it
    ├── GraphError                 a graph that cannot be run, found when it is built
    ├── StepError                  .step
    │   ├── StepFailed             its function raised; the cause is ``__cause__``
    │   └── StepTimeout            it did not end within its time
    ├── RunCancelled               somebody cancelled the run
    ├── RunLost                    another process has the run now; what this one makes is void
    ├── DeadlineExceeded           the whole run did not end by its deadline
    ├── ModelError                 .model
    │   ├── ModelUnavailable       no connection, 5xx, broken stream              retryable
    │   ├── ModelTimeout           no answer within the deadline                  retryable
    │   ├── RateLimited            .retry_after_s; 429, 529                       retryable
    │   ├── ModelRejected          .status; the request itself is wrong (4xx)
    │   ├── ModelRefused           the model declined to answer
    │   └── InvalidOutput          .text; an answer that does not satisfy its schema
    ├── StoreError                 .store
    │   └── StoreUnavailable       gone, slow or frozen                           retryable
    ├── ServerUnavailable          a Hasten server that Client asks is gone       retryable
    ├── BudgetSpent                    what nobody waits for has cost enough for today
    ├── FreshnessRefused           too little of an answer could be made anew   retryable
    ├── NotCached                  only-if-cached, and nothing is
    ├── StoredFailure              .original; an error that a cache policy keeps for a while
    └── CodecError                 bytes that are not what they claim to be
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class HastenError(Exception):
    """The root: ``code`` is a stable word for machines, ``retryable`` says whether to try again."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    @property
    def for_callers(self) -> str:
        """What whoever asked a server is told; the log has the rest."""
        return str(self)


class InvalidInput(HastenError):
    """An input the caller must change; ``field`` names it and ``allowed`` says what would do.

    When several are wrong, ``others`` holds the rest.
    """

    code = "invalid_input"

    def __init__(
        self, message: str, *, field: str, value: object = None, allowed: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.field = field
        self.value = value
        self.allowed = tuple(allowed)
        self.others: tuple[InvalidInput, ...] = ()


class NotFound(HastenError):
    """Nothing of that name, or nothing this caller may know of."""

    code = "not_found"


class Unauthenticated(HastenError):
    """A credential is missing or unknown."""

    code = "unauthenticated"


class Forbidden(HastenError):
    """The caller is known and may not do this."""

    code = "forbidden"


class SettingsError(HastenError):
    """A setting has a value that cannot be used; the message names it and its source."""

    code = "settings"


class MissingExtra(HastenError):
    """A part that is installed on demand is not there."""

    code = "missing_extra"

    def __init__(self, part: str, extra: str) -> None:
        super().__init__(f"{part} is not installed: pip install 'hasten[{extra}]'")
        self.extra = extra


class GraphError(HastenError):
    """A graph that cannot run: a cycle, an unknown or duplicate name, a type that does not fit."""

    code = "graph"


class StepError(HastenError):
    """A step did not give a value; ``step`` names it."""

    code = "step"

    def __init__(self, message: str, *, step: str) -> None:
        super().__init__(message)
        self.step = step


class StepFailed(StepError):
    """The step's function raised on its last try; the cause is ``__cause__``."""

    code = "step_failed"


class StepTimeout(StepError):
    """The step did not end within its ``timeout_s``."""

    code = "step_timeout"


class RunCancelled(HastenError):
    """The run was cancelled before it ended."""

    code = "cancelled"


class RunLost(HastenError):
    """The run was cancelled or is another process's now: nothing is kept of what this one makes."""

    code = "run_lost"


class DeadlineExceeded(HastenError):
    """The run did not end by its deadline."""

    code = "deadline_exceeded"


class ModelError(HastenError):
    """A model gave no usable answer; ``model`` names it."""

    code = "model"

    def __init__(self, message: str, *, model: str = "") -> None:
        super().__init__(message)
        self.model = model


class ModelUnavailable(ModelError):
    """The endpoint could not be reached, failed on its side, or broke its stream."""

    code = "model_unavailable"
    retryable = True


class ModelTimeout(ModelError):
    """The model did not answer within its deadline."""

    code = "model_timeout"
    retryable = True


class RateLimited(ModelError):
    """The endpoint asks for patience (429, 529); ``retry_after_s`` is its word, if it gave one."""

    code = "rate_limited"
    retryable = True

    def __init__(
        self, message: str, *, model: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, model=model)
        self.retry_after_s = retry_after_s


class ModelRejected(ModelError):
    """The endpoint says the request itself is wrong; ``status`` is the HTTP status it gave."""

    code = "model_rejected"

    def __init__(self, message: str, *, model: str = "", status: int = 400) -> None:
        super().__init__(message, model=model)
        self.status = status


class ModelRefused(ModelError):
    """The model declined to answer; not a failure of the endpoint."""

    code = "model_refused"


class InvalidOutput(ModelError):
    """An answer does not satisfy the schema it was asked for; ``text`` is what came."""

    code = "invalid_output"

    def __init__(self, message: str, *, model: str = "", text: str = "") -> None:
        super().__init__(message, model=model)
        self.text = text


class StoreError(HastenError):
    """A store could not do what was asked; ``store`` names it."""

    code = "store"

    def __init__(self, message: str, *, store: str = "") -> None:
        super().__init__(message)
        self.store = store

    @property
    def for_callers(self) -> str:
        """No address of a store, and no word of what it keeps."""
        return "a store of this server failed; its log says more"


class StoreUnavailable(StoreError):
    """The store is gone, slow or frozen."""

    code = "store_unavailable"
    retryable = True


class ServerUnavailable(HastenError):
    """A Hasten server that ``Client`` asks cannot be reached, or is not well."""

    code = "server_unavailable"
    retryable = True


class BudgetSpent(HastenError):
    """What is done while nobody waits has cost as much as it may in a day."""

    code = "budget_spent"


class FreshnessRefused(HastenError):
    """Too little of the answer could be made for this request; what is kept must not fill it."""

    code = "freshness_refused"
    retryable = True


class NotCached(HastenError):
    """The request takes stored answers only (``only-if-cached``); ``reason``: why none will do."""

    code = "not_cached"

    def __init__(self, message: str, *, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason


class StoredFailure(HastenError):
    """A computation failed a short while ago; ``original`` is the code of its error."""

    code = "stored_failure"

    def __init__(self, message: str, *, original: str) -> None:
        super().__init__(message)
        self.original = original


class CodecError(HastenError):
    """Bytes that do not carry the value they claim to carry."""

    code = "codec"
