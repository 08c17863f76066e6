"""Records of the log as bytes, and back: msgpack by field names, compressed where that pays.

A tuple of records becomes one column per field. Arrays are raw bytes with dtype and shape. The problem, the
recorded outputs and the reasons of a record are kept outside, in columns of their own, so that a run is
loaded without its outputs and reasons.
"""

import dataclasses
import enum
import types
import zlib
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import msgpack
import numpy as np

from testbudget.rewards.outputs import RecordedOutputs
from testbudget.scheduler.log_records import ExecutedRecord, Record
from testbudget.traces.output_tables import pack_outputs, unpack_outputs
from testbudget.traces.pair_reasons import PairReasons
from testbudget.traces.reason_tables import pack_reasons, unpack_reasons

_KINDS: Mapping[str, type[Record]] = {kind.__name__: kind for kind in get_args(Record)}
_OUTSIDE = ("problem", "outputs", "reasons")
_PLAIN, _COMPRESSED = b"\x00", b"\x01"  # first byte of a payload
_MIN_COMPRESSED = 200  # bytes; less is not tried
_SAMPLE = 2048  # bytes; hidden states do not compress, and trying all of them takes long
_PAYS = 0.9
_LEVEL = 5
_COMMON = b"""status usable duplicate unusable seed tokens gpu_seconds kind metadata mean_logprob form
piece worker submitted started finished text tests first candidates continues_prompt notes
Here is the unit test. To test the function, we can write test cases that cover different scenarios
and edge cases.
```javascript
const test = require("node:test");
const assert = require("node:assert");
test("", () => {
    assert.strictEqual(
```python
from typing import List
import unittest

class TestSolution(unittest.TestCase):
    def setUp(self):
        self.solution = Solution()

    def test_negative_numbers(self):
        # Test case 1: with a single element, an empty list, an empty string
        self.assertAlmostEqual(
        self.assertListEqual(
        self.assertIsNone(
        self.assertTrue(
        self.assertFalse(
        self.assertEqual(result, expected)

    def test_empty_list(self):
        \"\"\"
        Test the function with an empty list. The function should return
        \"\"\"
        with self.assertRaises(ValueError):
        # Test with a string of mixed case, special characters, numbers and spaces
        self.assertEqual(function([1, 2, 3, 4, 5]), [1, 2, 3])  # Expected output: True

if __name__ == '__main__':
    unittest.main()
```
"""
# Text that payloads have in common, the preset dictionary of their compression: it saves a fifth of a
# generated test. Another text is another version of the log.


def encode_record(record: Record) -> tuple[bytes, bytes | None, bytes | None]:
    """Payload of a record, its recorded outputs or None, and its reasons or None."""
    fields = _FIELDS[type(record).__name__]
    columns = {
        name: pack(getattr(record, name)) for name, (pack, _) in fields.items() if name not in _OUTSIDE
    }
    content = msgpack.packb(columns, unicode_errors="surrogatepass")
    outputs = reasons = None
    if isinstance(record, ExecutedRecord):
        outputs, reasons = record.outputs, record.reasons
    return (
        _compressed(content),
        None if outputs is None else pack_outputs(outputs),
        None if reasons is None else pack_reasons(reasons),
    )


def decode_record(
    kind: str, problem: str, payload: bytes, outputs: bytes | None, reasons: bytes | None
) -> Record:
    """The record of a payload.

    Args:
        kind: name of the record's class.
        problem: id of the problem.
        payload, outputs, reasons: as returned by :func:`encode_record`; all but the payload may be left
            out.

    Raises:
        ValueError, KeyError, TypeError, zlib.error, msgpack.UnpackException: the payload is damaged.
    """
    content: bytes | memoryview = memoryview(payload)[1:]
    if payload[:1] == _COMPRESSED:
        content = zlib.decompressobj(zdict=_COMMON).decompress(content)
    found = msgpack.unpackb(content, unicode_errors="surrogatepass")
    fields = _FIELDS[kind]
    values = {name: fields[name].unpack(value) for name, value in found.items()}
    if outputs is not None:
        values["outputs"] = unpack_outputs(outputs)
    if reasons is not None:
        values["reasons"] = unpack_reasons(reasons)
    return _KINDS[kind](problem=problem, **values)


def _compressed(content: bytes) -> bytes:
    if len(content) < _MIN_COMPRESSED:
        return _PLAIN + content
    sample = content[:_SAMPLE]
    if len(content) > _SAMPLE and len(zlib.compress(sample, _LEVEL)) >= _PAYS * len(sample):
        return _PLAIN + content
    compressor = zlib.compressobj(_LEVEL, zdict=_COMMON)
    compressed = compressor.compress(content) + compressor.flush()
    return _COMPRESSED + compressed if len(compressed) < _PAYS * len(content) else _PLAIN + content


class _Codec(NamedTuple):
    pack: Callable[[Any], Any]
    unpack: Callable[[Any], Any]


def _same(value: Any) -> Any:
    return value


def _fields(cls: Any) -> Mapping[str, _Codec]:
    hints = get_type_hints(cls)
    return {field.name: _codec(hints[field.name]) for field in dataclasses.fields(cls)}


def _codec(hint: Any) -> _Codec:
    """Functions for values of a type, made of the functions for its parts."""
    if hint in (RecordedOutputs | None, PairReasons | None):
        codec = _Codec(_same, _same)  # outside
    elif isinstance(hint, types.UnionType):
        (some,) = (part for part in get_args(hint) if part is not types.NoneType)
        codec = _optional(_codec(some))
    elif get_origin(hint) is np.ndarray:
        codec = _Codec(_pack_array, _unpack_array)
    elif get_origin(hint) is tuple:
        entry = get_args(hint)[0]
        codec = _columns(entry) if dataclasses.is_dataclass(entry) else _list(_codec(entry))
    elif dataclasses.is_dataclass(hint):
        codec = _object(hint)
    elif issubclass(hint, enum.StrEnum):
        codec = _Codec(str, hint)
    elif hint in (str, int, float, bool):
        codec = _Codec(hint, hint)
    else:
        raise TypeError(f"a record cannot hold {hint}")
    return codec


def _optional(some: _Codec) -> _Codec:
    return _Codec(
        lambda value: None if value is None else some.pack(value),
        lambda value: None if value is None else some.unpack(value),
    )


def _pack_array(array: Any) -> list[Any]:
    return [array.dtype.str, array.shape, array.tobytes()]


def _unpack_array(found: Any) -> Any:
    dtype, shape, content = found
    return np.frombuffer(content, dtype).reshape(shape)


def _list(entry: _Codec) -> _Codec:
    return _Codec(
        lambda values: [entry.pack(value) for value in values],
        lambda found: tuple(map(entry.unpack, found)),
    )


def _object(cls: Any) -> _Codec:
    fields = _fields(cls)
    return _Codec(
        lambda value: {name: codec.pack(getattr(value, name)) for name, codec in fields.items()},
        lambda found: cls(**{name: fields[name].unpack(part) for name, part in found.items()}),
    )


def _columns(cls: Any) -> _Codec:
    """Several objects of one class as a list for each field."""
    fields = _fields(cls)

    def pack(values: Any) -> dict[str, list[Any]]:
        return {
            name: [codec.pack(getattr(value, name)) for value in values] for name, codec in fields.items()
        }

    def unpack(found: Mapping[str, list[Any]]) -> tuple[Any, ...]:
        columns = [map(fields[name].unpack, column) for name, column in found.items()]
        return tuple(cls(**dict(zip(found, row, strict=True))) for row in zip(*columns, strict=True))

    return _Codec(pack, unpack)


_FIELDS: Mapping[str, Mapping[str, _Codec]] = {name: _fields(kind) for name, kind in _KINDS.items()}
