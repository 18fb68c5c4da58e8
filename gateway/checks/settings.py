"""The parameters of each check, as the ``checks`` section of a profile gives them.

Numbers are in canonical units (the profile loader converts ``198 V`` before); durations are
seconds.  ``false`` switches a check off, ``true`` or nothing leaves it at its defaults.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    Field,
    RootModel,
    ValidationError,
    field_validator,
    model_validator,
)

from gateway.checks.all_series import SERIES
from gateway.checks.catalogue import CATALOGUE
from gateway.checks.local_days import BEIJING, zone
from gateway.checks.parameters import Limits, NoSettings, NotNegative, Positive, Settings
from gateway.checks.rhythm import BurstSettings, DriftSettings, SilentSettings
from gateway.errors import ProfileError
from gateway.quantities import BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_T = TypeVar("_T", bound=BaseModel)


class RangeSettings(RootModel[dict[str, Limits]]):
    """Limits by quantity."""


class DecreaseSettings(Settings):
    """What is no fall: ``resolution_steps`` of the last digit, or a ``tolerance`` by quantity.

    ``resets: daily``: registers begin anew every midnight by design.  ``time_zone``: whose days
    count where the registry names no zone for a device.
    """

    resolution_steps: NotNegative = 1.0
    tolerance: dict[str, NotNegative] = {}  # noqa: RUF012 - pydantic copies it
    resets: Literal["never", "daily"] = "never"
    time_zone: str = BEIJING

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        zone(name)
        return name


class RolloverSettings(Settings):
    """How far, in shares of the full scale, a step over the full scale may reach."""

    span: Annotated[float, Field(gt=0, le=0.5)] = 0.05


class FutureSettings(Settings):
    """Seconds that an instrument's clock may be ahead: above ``minor``, above ``major``."""

    minor: Positive = 60.0
    major: Positive = 300.0

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minor > self.major:
            raise ValueError("`minor` must not be above `major`")
        return self


class AmountSettings(Settings):
    """Scale intervals of the quantity (L, kWh) and of the money."""

    quantity_interval: Positive = 0.01
    money_interval: Positive = 0.01


class FareSettings(Settings):
    """Shown intervals of distance (km) and time (s); whether the fare includes the surcharge."""

    distance_interval: NotNegative = 0.01
    time_interval: NotNegative = 1.0
    surcharge_included: bool = False


class TariffSumSettings(Settings):
    """Tolerance (kWh) for each tariff; steps after which a standing residual is settled."""

    per_tariff: NotNegative = 0.02
    settle_after: Annotated[int, Field(ge=1)] = 24


class CheckSettings:
    """The parameters of all checks of one layout; ``off`` are the codes switched off."""

    def __init__(self, parsed: Mapping[str, BaseModel], off: frozenset[str]) -> None:
        self.off = off
        self._parsed = dict(parsed)
        self.ranges: dict[str, Limits] = {}
        found = parsed.get("value_out_of_range")
        if isinstance(found, RangeSettings):
            self.ranges = found.root
        self.decrease = self.of("register_decrease", DecreaseSettings)
        self.rollover = self.of("register_rollover", RolloverSettings)
        self.future = self.of("future_timestamp", FutureSettings)
        self.amount = self.of("amount_mismatch", AmountSettings)
        self.fare = self.of("fare_mismatch", FareSettings)
        self.tariff_sum = self.of("tariff_sum_mismatch", TariffSumSettings)

    def of(self, code: str, model: type[_T]) -> _T:
        """The parameters of a code: those given, else the defaults."""
        found = self._parsed.get(code)
        if not isinstance(found, model):
            found = self._parsed[code] = model()
        return found


MODELS: dict[str, type[BaseModel]] = {
    "unregistered_device": NoSettings,
    "value_out_of_range": RangeSettings,
    "sequence_gap": NoSettings,
    "conflicting_duplicate": NoSettings,
    "register_decrease": DecreaseSettings,
    "register_rollover": RolloverSettings,
    "future_timestamp": FutureSettings,
    "amount_mismatch": AmountSettings,
    "fare_mismatch": FareSettings,
    "tariff_sum_mismatch": TariffSumSettings,
    "silent_device": SilentSettings,
    "burst_after_silence": BurstSettings,
    "clock_drift": DriftSettings,
    **{check.code: check.settings for check in SERIES},
}


def parse(kind: str, settings: Mapping[str, Mapping[str, Any] | bool], where: str) -> CheckSettings:
    """Validates a ``checks`` section.

    Raises:
        ProfileError: every fault, each with ``where``, the key path, what was got and what may be.
    """
    faults: list[str] = []
    parsed: dict[str, BaseModel] = {}
    off = set()
    for code, given in settings.items():
        path = f"{where}: checks.{code}"
        fault = _unusable(code, kind)
        if fault:
            faults.append(f"{path}: {fault}")
        elif given is False:
            off.add(code)
        elif given is not True:
            try:
                parsed[code] = MODELS[code].model_validate(given)
            except ValidationError as error:
                faults += [_explained(path, MODELS[code], e) for e in error.errors()]
    found = parsed.get("value_out_of_range")
    if isinstance(found, RangeSettings):
        faults += _quantities(f"{where}: checks.value_out_of_range", kind, found.root)
    decrease = parsed.get("register_decrease")
    if isinstance(decrease, DecreaseSettings):
        path = f"{where}: checks.register_decrease.tolerance"
        faults += _quantities(path, kind, decrease.tolerance)
    if faults:
        raise ProfileError("\n".join(faults))
    return CheckSettings(parsed, frozenset(off))


def _unusable(code: str, kind: str) -> str:
    usable = [c for c, info in CATALOGUE.items() if info.applies_to(kind)]
    info = CATALOGUE.get(code)
    if info is None:
        return f"no such check{_meant(code, usable)}"
    if not info.applies_to(kind):
        return f"does not apply to {kind}{_meant('', usable)}"
    return ""


def _quantities(path: str, kind: str, named: Iterable[str]) -> list[str]:
    numbers = [q.name for q in BY_NAME[kind].values() if q.type in {"number", "money"}]
    return [
        f"{path}.{name}: no number of {kind}{_meant(name, numbers)}"
        for name in named
        if name not in numbers
    ]


_WANTED: Final = {
    "float_type": "a number", "float_parsing": "a number", "int_type": "a whole number",
    "int_parsing": "a whole number", "bool_type": "true or false", "bool_parsing": "true or false",
    "dict_type": "a mapping", "model_type": "a mapping", "finite_number": "a number",
}  # fmt: skip


def _explained(path: str, model: type[BaseModel], error: Any) -> str:  # noqa: ANN401 - pydantic's
    where = ".".join([path, *map(str, error["loc"])])
    if error["type"] == "extra_forbidden":
        allowed = [*(Limits if model is RangeSettings else model).model_fields]
        return f"{where}: no such parameter{_meant(str(error['loc'][-1]), allowed)}"
    wanted = _WANTED.get(error["type"])
    problem = f"expected {wanted}" if wanted is not None else error["msg"]
    problem = problem.removeprefix("Value error, ").replace("Input should", "must")
    return f"{where}: {problem}, got {error['input']!r:.80}"


def _meant(name: str, allowed: list[str]) -> str:
    close = get_close_matches(name, allowed, 1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; one of {', '.join(allowed)}" if allowed else "; it has none"
