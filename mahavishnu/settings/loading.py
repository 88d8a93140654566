"""Reading settings: the file, then the environment, then flags, each checked by itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mahavishnu.errors import InvalidTarget, SettingsError, did_you_mean, nearest_name
from mahavishnu.model import Target
from mahavishnu.settings.files import NotToml, text_of, toml_of
from mahavishnu.settings.passwords import holds_password, with_password
from mahavishnu.settings.problems import located, told
from mahavishnu.settings.tables import DEFAULTS, Settings, Table

PREFIX = "MAHAVISHNU_"
CONFIG = PREFIX + "CONFIG"
DEBUG = PREFIX + "DEBUG"
PASSWORD = PREFIX + "STORE_PASSWORD"
LOOKED_FOR = (Path("config/mahavishnu.toml"), Path("mahavishnu.toml"))

SET_BY_VARIABLE = ("store", "routing", "evidence", "lake", "alerts", "experiments", "attempts", "breaker", "limits")


def variables() -> dict[str, tuple[str, str]]:
    """Every environment variable that stands for a setting, with its table and key; a table within one has none.

    >>> variables()["MAHAVISHNU_STORE_URL"]
    ('store', 'url')
    """
    return {
        f"{PREFIX}{table}_{key}".upper(): (table, key)
        for table in SET_BY_VARIABLE
        for key, value in getattr(DEFAULTS, table)
        if not isinstance(value, Mapping)
    }


def find_config(config: Path | None, environ: Mapping[str, str]) -> Path | None:
    """The configuration file that is read: the one named, else the variable's, else the first that stands here."""
    named = config or (Path(environ[CONFIG]) if environ.get(CONFIG) else None)
    return named or next((path for path in LOOKED_FOR if path.is_file()), None)


def load_settings(config: Path | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """The settings of a file (`config`, or the one that is found), overridden by the environment, then by `overrides`.

    `overrides` has the shape of the file: `{"store": {"url": "memory:"}}`. Each source is checked by itself, so that an
    error names the file, the variable or the flag it came from. Raises SettingsError.
    """
    path = find_config(config, environ)
    tables = _read(path) if path else {}
    if path:
        in_file = _validated(tables, str(path))
        if holds_password(in_file.store.url):
            raise SettingsError(
                where=str(path), problem=f'"url" in [store] holds a password; take it out and set {PASSWORD} instead'
            )
    _validated(overrides, "flags")
    merged = _merge(_merge(tables, _from_environment(environ)), overrides)
    settings = _validated(merged, "settings")
    url = with_password(settings.store.url, environ.get(PASSWORD, ""))
    return settings.model_copy(update={"store": settings.store.model_copy(update={"url": url})})


def read_targets(text: str, where: str) -> list[Target]:
    """The targets of a text that has tables [targets.NAME] and no others. Raises SettingsError."""
    try:
        tables = toml_of(text)
    except NotToml as error:
        raise _not_toml(error, where) from None
    if strange := [name for name in tables if name != "targets"]:
        problem = f"holds [{strange[0]}]; only tables such as [targets.NAME] may stand here, take the others out"
        raise SettingsError(where=where, problem=problem)
    return list(_validated(tables, where).targets.values())


def _read(path: Path) -> dict[str, Any]:
    try:
        return toml_of(text_of(path))
    except FileNotFoundError:
        problem = "there is no such file; name another one, or write it with: mahavishnu init"
    except IsADirectoryError:
        problem = "is a folder; name the file in it"
    except PermissionError as error:
        problem = f"cannot be read ({error.strerror}); give yourself permission to read it, or name another one"
    except OSError as error:
        problem = f"cannot be read ({error.strerror}); name another file"
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 (byte {error.start}); save it as UTF-8"
    except NotToml as error:
        raise _not_toml(error, str(path)) from None
    raise SettingsError(where=str(path), problem=problem)


def _not_toml(error: NotToml, where: str) -> SettingsError:
    mend = "mend that line" if error.place else "mend the file"
    placed = f"{where}, {error.place}" if error.place else where
    return SettingsError(where=placed, problem=f"is not valid TOML: {error.what}; {mend}")


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """What the environment sets. An empty variable counts as not set: that is how most runners unset one."""
    known = variables()
    tables: dict[str, Any] = {}
    for variable, value in environ.items():
        if not variable.startswith(PREFIX) or variable in (CONFIG, DEBUG, PASSWORD):
            continue
        if variable not in known:
            raise SettingsError(where=variable, problem=f"no setting has this name{_nearest_variable(variable)}")
        if value:
            table, key = known[variable]
            tables.setdefault(table, {})[key] = _from_text(variable, table, key, value)
    return tables


def _nearest_variable(variable: str) -> str:
    """Compared without the prefix, which all of them share."""
    known = {name.removeprefix(PREFIX): name for name in (*variables(), CONFIG, DEBUG, PASSWORD)}
    near = nearest_name(variable.removeprefix(PREFIX), known)
    return did_you_mean(known[near]) if near else "; unset it"


def _from_text(variable: str, table: str, key: str, value: str) -> Any:
    kind: type[Table] = type(getattr(DEFAULTS, table))
    try:
        return getattr(kind.model_validate_strings({key: value}), key)
    except ValidationError as error:
        raise SettingsError(where=variable, problem=told(error.errors()[0], value)) from None


def _validated(tables: Mapping[str, Any], where: str) -> Settings:
    try:
        return Settings.model_validate(tables)
    except InvalidTarget as error:
        problem = f"{error.field} of [targets.{error.target}] {error.problem}"
    except ValidationError as error:
        problem = located(error.errors())
    raise SettingsError(where=where, problem=problem)


def _merge(weak: Mapping[str, Any], strong: Mapping[str, Any]) -> dict[str, Any]:
    """Table by table, key by key; a whole target or a list is one value."""
    merged = dict(weak)
    for table, keys in strong.items():
        merged[table] = {**merged.get(table, {}), **keys}
    return merged
