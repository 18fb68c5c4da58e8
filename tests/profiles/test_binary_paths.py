"""A path that the binary layout does not have is told when the profile is loaded."""

import pytest

from gateway.errors import ProfileError
from gateway.profiles import load_profiles
from tests.compiled import HEAD, PROFILES

LAYOUT = """
decode:
  format: binary
  envelope: {payload: p}
  seq:
    - {id: volume, type: u4}
    - {id: kind, type: u1, enum: kind}
    - {id: _hidden, type: u1}
    - {id: battery, type: b1}
    - {id: pair, type: [{id: x, type: u1}]}
    - {id: name, type: str, size: 4}
    - {id: time, type: u4}
    - {id: temperatures, type: s2, repeat: expr, repeat-expr: 2}
    - repeat: until
      repeat-until: _left == 0
      type:
        - {id: _tag, type: u1}
        - type:
            switch-on: _tag
            cases:
              1: [{id: pressure, type: f4}]
              2: [{id: log, collect: true, type: [{id: at, type: u4}, {id: volume, type: u4}]}]
    - {id: any, type: {switch-on: _hidden, cases: {1: u1, 2: [{id: z, type: u1}]}}}
  enums: {kind: {1: data, _: other}}
"""


def faults(tmp_path, read):
    file = tmp_path / "under-test.yaml"
    text = HEAD.format(kind="water-meter") + LAYOUT + read
    file.write_text(text, encoding="utf-8")
    try:
        load_profiles([file], [PROFILES])
    except ProfileError as error:
        return [line.split(": ", 1)[1] for line in str(error).splitlines()]
    return []


SOUND = """
read:
  - when: {kind: data, pair.x: {is: present}}
    device_id: {from: envelope.imei}
    channel: {from: name}
    measured_at: {from: time, time: epoch_s}
    status: {flags: {battery: battery_low}}
    volume: {from: volume, unit: L}
    pressure: {from: pressure, unit: kPa, optional: true}
    temperature: {each: temperatures, channels: [a, b], unit: Cel}
  - each: log
    when: {$.kind: data}
    measured_at: {from: at, time: epoch_s}
    volume: {from: volume, unit: L}
  - when: {any.z: {is: present}}
    volume: {from: any.what.ever, unit: L}
ignore: [{when: {kind: other}}, {each: log, when: {volume: 0}}]
"""


def test_what_the_layout_has_can_be_read(tmp_path):
    # The last block of `read` asks what only a message can tell: `any` has one form or another.
    assert faults(tmp_path, SOUND) == []


@pytest.mark.parametrize(
    ("read", "told"),
    [
        ("read: {volume: {from: volum, unit: L}}",
         "read.volume.from: the layout has no field 'volum'; did you mean 'volume'?"),
        ("read: {volume: {from: _hidden, unit: L}}",
         "read.volume.from: the layout has no field '_hidden'; one of volume, kind, battery"),
        ("read: {volume: {from: pair.y, unit: L}}",
         "read.volume.from: 'pair' of the layout has no field 'y'; one of x"),
        ("read: {volume: {from: volume.x, unit: L}}",
         "read.volume.from: 'volume' is a whole number in the layout: it has no 'x'"),
        ("read: {volume: {from: pair, unit: L}}",
         "read.volume.from: 'pair' is a structure in the layout; what is read here is a number"),
        ("read: {volume: {from: kind, unit: L}}",
         "read.volume.from: 'kind' is a text in the layout; what is read here is a number"),
        ("read: {volume: {from: battery, unit: L}}",
         "read.volume.from: 'battery' is a truth value in the layout"),
        ("read: {volume: {from: 'volume[0]', unit: L}}",
         "read.volume.from: 'volume' is a whole number in the layout, no list"),
        ("read: {measured_at: {from: time}, volume: {from: volume, unit: L}}",
         "'time' is a whole number in the layout; what is read here is a time as text"),
        ("read: {measured_at: {from: name, time: epoch_s}, volume: {from: volume, unit: L}}",
         "'name' is a text in the layout; what is read here is a time as number"),
        ("read: {each: log, volume: {from: volum, unit: L}}",
         "read.volume.from: the layout has no field 'volum'; did you mean 'volume'?"),
        ("read: {each: logs, volume: {from: volume, unit: L}}",
         "read.each: the layout has no field 'logs'; did you mean 'log'?"),
        ("read: {each: pair, volume: {from: x, unit: L}}",
         "read.each: 'pair' is a structure in the layout, no list"),
        ("read: {each: temperatures, volume: {from: x, unit: L}}",
         "read.each: the items of 'temperatures' are a whole number each: no fields"),
        ("read: {volume: {channels: {a: volume, b: volme}, unit: L}}",
         "read.volume.channels.b: the layout has no field 'volme'"),
        ("read: {volume: {sum: [volume, volme], unit: L}}",
         "read.volume.sum.1: the layout has no field 'volme'"),
        ("read: {status: {from: flag, bits: {0: leak}}, volume: {from: volume, unit: L}}",
         "read.status.from: the layout has no field 'flag'"),
        ("read: {status: {flags: {batery: battery_low}}, volume: {from: volume, unit: L}}",
         "read.status.flags.batery: the layout has no field 'batery'; did you mean 'battery'?"),
        ("read: {when: {knd: data}, volume: {from: volume, unit: L}}",
         "read.when.knd: the layout has no field 'knd'; did you mean 'kind'?"),
        ("read: {volume: {from: volume, unit: L}}\nignore: {when: {knd: other}}",
         "ignore.when.knd: the layout has no field 'knd'"),
        ("read: {sequence: {from: pressure}, volume: {from: volume, unit: L}}",
         "read.sequence.from: 'pressure' is a number in the layout; what is read here is a whole"),
    ],
)  # fmt: skip
def test_a_path_that_it_has_not_is_a_fault(tmp_path, read, told):
    (found,) = faults(tmp_path, read)
    assert told in found
