"""A codec's file as QuickJS is given it: one function, so that it can be run anew each message."""

from __future__ import annotations

import re
from typing import Final

from gateway.decode.ts013_kept import Kept

_FORMS: Final = ("decodeUplink", "Decode", "Decoder")
_MODULAR: Final = re.compile(r"\b(?:module|exports|context)\b")

# Statements of ES modules that stand at the head of a line.
_DEFAULT_NAMED: Final = re.compile(
    r"^([ \t]*)export\s+default\s+((?:async\s+)?(?:function\b\s*\*?|class\b)\s*)([\w$]+)",
    re.MULTILINE,
)
_DEFAULT: Final = re.compile(r"^([ \t]*)export\s+default\s+", re.MULTILINE)
_DECLARED: Final = re.compile(
    r"^([ \t]*)export\s+((?:async\s+)?function\b\s*\*?\s*|class\s+|const\s+|let\s+|var\s+)([\w$]+)",
    re.MULTILINE,
)
_LISTED: Final = re.compile(r"^[ \t]*export\s*\{([^{}]*)\}[ \t]*(?!\s*from\b);?", re.MULTILINE)
_IMPORTED: Final = re.compile(
    r"^[ \t]*import\s+(?:(?:(?P<default>[\w$]+)|\*\s*as\s+(?P<all>[\w$]+)|\{(?P<names>[^{}]*)\})"
    r"\s*from\s+)?(?P<module>'[^'\n]*'|\"[^\"\n]*\")[ \t]*;?",
    re.MULTILINE,
)
_RENAMED: Final = re.compile(r"^([\w$]+)(?:\s+as\s+([\w$]+))?$")

_BUILT_IN: Final = (
    "Array|BigInt|Boolean|Buffer|DataView|Date|Error|Function|JSON|Map|Math|Number|Object|RegExp"
    "|Set|String|Symbol|Uint8Array|console"
)
_PATCH: Final = re.compile(
    rf"(?<![\w$.])({_BUILT_IN})(\.prototype)?\.([A-Za-z_$][\w$]*)\s*=(?![=>])"
)


def modular(source: str) -> bool:
    """Whether a codec may speak of ``module``, ``exports`` or ``context``."""
    return _MODULAR.search(source) is not None


def strict_script(source: str, first_line: int, kept: Kept) -> str:
    """The same as `script` for a file in strict mode, which also gives what may be kept of it."""
    lines = "\n" * (first_line - 1)
    given = f"own:[{','.join(kept.functions)}],kept:[{','.join(kept.variables)}],{_found()}"
    return f"(function(){{'use strict';{lines}{source}\n;return {{{given}}}}})"


def _found() -> str:
    """What a file declares of what may decode, as it stands behind the file."""
    found = ",".join(f"{name}:typeof {name}=='function'?{name}:undefined" for name in _FORMS)
    return found + ",driver:typeof driver=='undefined'?undefined:driver"


def script(source: str, first_line: int, *, module: bool = False) -> str | None:
    """An expression: a function that runs the file and gives the functions that decode.

    Args:
        source: the codec's file.
        first_line: the line of the expression on which the file begins.
        module: put ``require`` and ``exports`` in the place of ``import`` and ``export``.

    Returns:
        None where ``module`` is asked of a file that has no such statement.
    """
    more = ""
    if module:
        source, exports, changed = _without_modules(source)
        if not changed:
            return None
        more = "".join(f"exports.{name}={value};" for name, value in exports)
    lines = "\n" * (first_line - 1)
    return f"(function(){{{lines}{source}\n;{more}return {{{_found()}}}}})"


def _without_modules(source: str) -> tuple[str, list[tuple[str, str]], bool]:
    """The file without statements of ES modules, on the same lines, and what it exports."""
    exports: list[tuple[str, str]] = []

    def named(match: re.Match[str]) -> str:
        exports.append(("default", match[3]))
        return match[1] + match[2] + match[3]

    def declared(match: re.Match[str]) -> str:
        exports.append((match[3], match[3]))
        return match[1] + match[2] + match[3]

    def listed(match: re.Match[str]) -> str:
        for own, other in _renamed(match[1]):
            exports.append((other, own))
        return "\n" * match[0].count("\n")

    def imported(match: re.Match[str]) -> str:
        lines = "\n" * match[0].count("\n")
        call = f"require({match['module']})"
        if match["names"] is not None:
            names = ",".join(f"{own}:{other}" for own, other in _renamed(match["names"]))
            return f"const {{{names}}}={call};{lines}"
        name = match["default"] or match["all"]
        return f"const {name}={call};{lines}" if name else f"{call};{lines}"

    before = source
    source = _DEFAULT_NAMED.sub(named, source)
    source = _DEFAULT.sub(r"\1exports.default=", source)
    source = _DECLARED.sub(declared, source)
    source = _LISTED.sub(listed, source)
    source = _IMPORTED.sub(imported, source)
    return source, exports, source != before


def _renamed(names: str) -> list[tuple[str, str]]:
    """``a, b as c`` in pairs: (a, a), (b, c)."""
    found = (_RENAMED.match(" ".join(name.split())) for name in names.split(","))
    return [(match[1], match[2] or match[1]) for match in found if match is not None]


def patched(source: str) -> str:
    """What of the engine a codec's text alters, as ``Math.trunc Array.prototype.at``.

    Words in comments do no harm: what is named here is only put back after each message.
    """
    found = {
        f"{owner}{inherited}.{name}"
        for owner, inherited, name in _PATCH.findall(source)
        if not re.search(rf"\b(?:function|class|var|let|const)\s+{owner}\b", source)
    }
    return " ".join(sorted(found))
