"""The registry of devices: its files, what an import would change, and whether it hangs together.

``gateway.devices`` is the registry in memory, the casebook keeps it; here is everything between a
file of a person and the casebook, without the casebook: pure but for reading files.
"""

from gateway.registry.entries import Entry, Read, Record, RegistryError, as_line
from gateway.registry.files import read_files, read_registry

__all__ = ["Entry", "Read", "Record", "RegistryError", "as_line", "read_files", "read_registry"]
