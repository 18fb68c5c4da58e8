"""Volume of fuel at 20 Cel, China's base (GB/T 1885): the factors of API MPMS 11.1 (ASTM D1250)."""

from __future__ import annotations

from math import exp

_BASE = 20.0


def expansion(density_15: float) -> float:
    """Thermal expansion at 15 Cel, 1/K, of refined products.

    Args:
        density_15: kg/m3 at 15 Cel.
    """
    if density_15 < 770.3:
        k0, k1 = 346.4228, 0.4388
    elif density_15 < 787.5:
        return -0.00336312 + 2680.3206 / density_15**2
    elif density_15 < 838.3:
        k0, k1 = 594.5418, 0.0
    else:
        k0, k1 = 186.9696, 0.4862
    return k0 / density_15**2 + k1 / density_15


def at_20(temperature: float, density_15: float) -> float:
    """What one litre at ``temperature`` (Cel) is at 20 Cel, in litres."""
    alpha = expansion(density_15)
    return _to_15(temperature, alpha) / _to_15(_BASE, alpha)


def _to_15(temperature: float, alpha: float) -> float:
    warmth = alpha * (temperature - 15.0)
    return exp(-warmth * (1 + 0.8 * warmth))
