"""What the declaration of a further resource is made of, under names that stay: see `docs/resources.md`.

A record is a subclass of `Record` made by `attrs.define(kw_only=True)`, each field with `wire(name, kind)` as its metadata;
its rules over several fields stand in `REQUIREMENTS`. A config is a subclass of `Config` made by `attrs.frozen(kw_only=True)`,
each field with its wire name as metadata, checked by `is_a`. `Resource` holds them together, and checks them.
"""

from asyncimport.configs import Config, is_a
from asyncimport.fields import Flag, Int64, JsonList, JsonObject, ListOf, Millis, Text
from asyncimport.records import IDENTITIES, CustomField, Identity, Record
from asyncimport.resources import Resource
from asyncimport.shape import NamesFilled, Needs, NeedsOneOf, ObjectOf, Requirement, wire

__all__ = [
    "IDENTITIES",
    "Config",
    "CustomField",
    "Flag",
    "Identity",
    "Int64",
    "JsonList",
    "JsonObject",
    "ListOf",
    "Millis",
    "NamesFilled",
    "Needs",
    "NeedsOneOf",
    "ObjectOf",
    "Record",
    "Requirement",
    "Resource",
    "Text",
    "is_a",
    "wire",
]
