"""Every error holdfast raises on purpose, in one tree.

::

    HoldfastError
    ├── ParameterError            a value the caller gave is not usable (sigma, alpha, n, an image, an option)
    │   └── ImpossibleRequest     well-formed, but every answer would be "abstain"; says what would work
    ├── FileError                 a file is not what it should be
    │   ├── ModelFileError        a checkpoint or network file
    │   ├── DataFileError         a data set or image file
    │   └── LedgerError           a ledger
    │       ├── LedgerVersionError    written by a newer holdfast
    │       ├── LedgerLockedError     another process is writing
    │       ├── LedgerFullError       no space left; what was committed stays
    │       └── LedgerConflictError   two records contradict each other
    ├── NetworkError              an integer network breaks the law it must obey (shapes, ranges)
    ├── ConversionError           a float network cannot be turned into an integer network; names the place
    ├── RunMismatch               a run cannot be resumed with other parameters
    ├── MissingDependency         an optional package is not installed; names the extra
    ├── NotReproducibleHere       this machine cannot recompute what another machine computed
    ├── ResourceError             this machine has too little memory, or gives no further threads
    ├── TrainingDiverged          the loss became NaN; the last good state was kept
    └── ProofFailed               a bound could not be proved (a defect: please report it)

Abstention is a result, not an error. A message says what was wrong, where, and what to do about it. What works, but not as
the caller may expect, is a :class:`HoldfastWarning`.
"""

from __future__ import annotations

__all__ = [
    "ConversionError",
    "DataFileError",
    "FileError",
    "HoldfastError",
    "HoldfastWarning",
    "ImpossibleRequest",
    "LedgerConflictError",
    "LedgerError",
    "LedgerFullError",
    "LedgerLockedError",
    "LedgerVersionError",
    "MissingDependency",
    "ModelFileError",
    "NetworkError",
    "NotReproducibleHere",
    "ParameterError",
    "ProofFailed",
    "ResourceError",
    "RunMismatch",
    "TrainingDiverged",
]


class HoldfastError(Exception):
    """Base of every error raised on purpose."""


class ParameterError(HoldfastError, ValueError):
    """A value the caller gave is not usable."""


class ImpossibleRequest(ParameterError):
    """The request is well-formed but can only ever abstain; the message names what would work."""


class FileError(HoldfastError):
    """A file is not what it should be."""


class ModelFileError(FileError):
    """A checkpoint or network file cannot be used."""


class DataFileError(FileError):
    """A data set or image file cannot be used."""


class LedgerError(FileError):
    """A ledger cannot be used."""


class LedgerVersionError(LedgerError):
    """The ledger was written by a newer version of holdfast."""


class LedgerLockedError(LedgerError):
    """Another process is writing to the ledger."""


class LedgerFullError(LedgerError):
    """There is no space left to write to; everything committed before is intact."""


class LedgerConflictError(LedgerError):
    """Two records contradict each other."""


class NetworkError(HoldfastError, ValueError):
    """An integer network breaks the law it must obey; names the operation, the channel and the bound."""


class ConversionError(HoldfastError):
    """A float network cannot be turned into an integer network; names the place and what could be done."""


class RunMismatch(HoldfastError):
    """A run is immutable: it cannot be resumed with other parameters."""


class MissingDependency(HoldfastError, ImportError):
    """An optional package is not installed; the message names the extra to install."""


class NotReproducibleHere(HoldfastError):
    """This machine cannot recompute what another machine computed (float networks only); not a refutation."""


class ResourceError(HoldfastError):
    """This machine has too little memory, or gives no further threads; nothing is wrong with the request itself."""


class TrainingDiverged(HoldfastError):
    """The loss became NaN or infinite; the last good state was kept."""


class ProofFailed(HoldfastError):
    """A bound could not be proved. This is a defect of holdfast, never of the input."""


class HoldfastWarning(UserWarning):
    """Something works, but not as the caller may expect. Its text is one line."""
