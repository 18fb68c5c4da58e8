"""What the tables of the settings have in common: types of names, ports, and secrets."""

# No "from __future__ import annotations": pydantic reads the annotations when the class is made.
import os
from pathlib import Path
from typing import Annotated, Any, Final, get_args

from pydantic import BaseModel, ConfigDict, Field, SecretStr

LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")

Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,47}$")]
Port = Annotated[int, Field(ge=1, le=65535)]

# A secret is given in one of three ways, and what they are called is the same in every table.
Password = Annotated[SecretStr | None, Field(description="password; rather use the next two")]
PasswordFile = Annotated[Path | None, Field(description="file that holds the password")]
PasswordVariable = Annotated[
    str | None, Field(description="environment variable with the password")
]
TokenFile = Annotated[Path | None, Field(description="file that holds the token")]
TokenVariable = Annotated[str | None, Field(description="environment variable with the token")]
Authorities = Annotated[Path | None, Field(description="certificates to trust, not the system's")]


class Table(BaseModel):
    """A table of the file; unknown keys are faults."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def table_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    """The table that a field holds, also one that may be left out; None where it holds none."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, BaseModel):
            return each
    return None


def secret_of(
    what: str, value: SecretStr | None, file: Path | None, variable: str | None
) -> str | None:
    """The secret from whichever of the three ways was used.

    Raises:
        ValueError: two ways, or a way that leads nowhere.
    """
    ways = {what: value, f"{what}_file": file, f"{what}_env": variable}
    used = [way for way, given in ways.items() if given is not None]
    if len(used) > 1:
        raise ValueError(f"{' and '.join(used)}: give one of them")
    if value is not None:
        return value.get_secret_value()
    if file is not None:
        try:
            return file.read_text("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise ValueError(f"{what}_file {file}: {reason}") from None
    if variable is not None:
        if variable not in os.environ:
            raise ValueError(f"{what}_env: the environment has no variable {variable}")
        return os.environ[variable]
    return None
