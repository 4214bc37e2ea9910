"""Canonical text of values, as compare.go defines it."""

import datetime
import decimal


def canonical(value, instant):
    """Returns the text of a value; instant tells whether a datetime is one, rather than a wall clock."""
    match value:
        case None | str():
            return value
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case decimal.Decimal():
            return format(value, "f")
        case float():
            return format(decimal.Decimal(repr(value)), "f").removesuffix(".0")
        case bytearray() | bytes():
            return "hex:" + bytes(value).hex()
        case datetime.datetime():
            return value.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds") + ("Z" if instant else "")
        case datetime.date():
            return value.isoformat()
        case {"wkb": wkb, "srid": srid}:
            return f"SRID={srid or 0};{canonical(wkb, False)}"
    raise TypeError(f"no canonical text for {type(value)}")
