"""Attributes of a candidate's objects, and parts of the test's classes, in a candidate's process."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any


def attributes(target: Any) -> dict[str, Any]:
    """Attributes of an object, copied, without a call of its methods."""
    try:
        found = dict(object.__getattribute__(target, "__dict__"))
    except (AttributeError, TypeError):
        found = {}
    for kind in type(target).__mro__:
        slots = vars(kind).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            member = vars(kind).get(name)
            if isinstance(member, types.MemberDescriptorType):
                try:
                    found[name] = member.__get__(target)
                except AttributeError:
                    continue
    return found


def class_item(how: str, value: Any) -> Any:
    """Item of a class of the test, made from what crossed.

    Args:
        how: the form in which it crossed: function, class method, static method, property or value.
        value: a proxy of the function, a tuple of those of a property, or the value.
    """
    if how == "function":
        return _function(value)
    if how == "classmethod":
        return classmethod(_function(value))
    if how == "staticmethod":
        return staticmethod(_function(value))
    if how == "property":
        return property(*value)
    return value


def _function(proxy: Any) -> Callable[..., Any]:
    def function(*arguments: Any, **keywords: Any) -> Any:
        return proxy(*arguments, **keywords)

    return function
