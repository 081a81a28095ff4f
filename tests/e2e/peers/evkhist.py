"""A reader of exported history (`.evkhist`), written from the format's document
alone: the rustdoc of `evenkeel_core::history` and of its parts `range`, `number`,
`column` and `series`. It shares no code with the appliance.

    evkhist.py FILE                     every check sum; a line per kind of column
    evkhist.py FILE block STRING BLOCK  the records of a block, as CSV
    evkhist.py FILE point NAME          the rows of a point, as CSV
"""

import struct
import sys
import zlib
from datetime import datetime, timezone

QUALITIES = ["good", "estimated", "stale", "bad"]


def over(number, by):
    """Division towards zero."""
    whole = abs(number) // by
    return whole if number >= 0 else -whole


class Bit:
    """A model of one bit: `range`, "A model"."""

    def __init__(self, odds=1 << 15, seen=0):
        self.odds, self.seen = odds, seen

    def learn(self, bit):
        far = 2 * ((65_535 if bit else 0) - self.odds)
        self.odds += over(far, 2 * self.seen + 3)
        self.odds = max(48, min(self.odds, 65_536 - 48))
        self.seen = min(self.seen + 1, 48)


class Decoder:
    """`range`, "The stream"."""

    def __init__(self, stream):
        self.stream, self.at = stream, 0
        self.code, self.range = 0, 0xFFFF_FFFF
        for _ in range(4):
            self.pull()

    def pull(self):
        byte = self.stream[self.at] if self.at < len(self.stream) else 0
        self.at += 1
        self.code = (self.code << 8 | byte) & 0xFFFF_FFFF

    def narrow(self, below):
        upper = self.code >= below
        if upper:
            self.code -= below
            self.range -= below
        else:
            self.range = below
        while self.range < 1 << 24:
            self.range <<= 8
            self.pull()
        return upper

    def bit(self, model):
        bit = not self.narrow((self.range >> 16) * model.odds)
        model.learn(bit)
        return bit

    def even(self):
        return self.narrow(self.range >> 1)


class Number:
    """`number`, "A number"."""

    def __init__(self, longer=(), first=None):
        self.longer = [Bit() for _ in range(24)]
        self.first = [Bit() for _ in range(24)]
        self.negative = Bit()
        for step, odds in enumerate(longer):
            self.longer[step] = Bit(odds, 5)
        if first is not None:
            self.first[1] = Bit(first, 4)

    def unsigned(self, coder):
        length = 0
        while length < 61 and coder.bit(self.longer[min(length, 23)]):
            length += 1
        got = 1
        for below in reversed(range(length)):
            first = below + 1 == length
            bit = coder.bit(self.first[min(length, 23)]) if first else coder.even()
            got = got << 1 | bit
        return got - 1

    def signed(self, coder):
        size = self.unsigned(coder)
        return -size if size and coder.bit(self.negative) else size


def near():
    return Number((44_500, 7_000, 3_000), 18_000)


def wide():
    return Number((60_000, 46_000, 30_000, 10_000, 4_000), 30_000)


class Track:
    """`number`, "An expectation"."""

    def __init__(self):
        self.last = self.mean = self.seen = self.last_erred = self.mean_erred = 0

    def rounded(self):
        return self.mean + 128 >> 8

    def guess(self):
        return self.last if self.last_erred < self.mean_erred else self.rounded()

    def learn(self, value):
        if self.seen:
            erred = lambda old, guess: old - old // 16 + min(abs(value - guess) << 4, 1 << 40)
            self.last_erred = erred(self.last_erred, self.last)
            self.mean_erred = erred(self.mean_erred, self.rounded())
        self.seen = min(self.seen + 1, 8)
        self.mean += over((value << 8) - self.mean, self.seen)
        self.last = value


class Models:
    """Models of a span: `column`, "A span"."""

    def __init__(self, mean, flat):
        self.present = [Bit(16_000, 2), Bit(65_000, 16)]
        self.flat = Bit(65_300, 40) if flat else Bit(8_000, 2)
        self.mean, self.up, self.down = mean, near(), near()


class Past:
    """What came before of a span."""

    def __init__(self):
        self.absent, self.track, self.surprise = False, Track(), 0


def span(coder, models, past, base):
    """(lowest, mean, highest), or None."""
    present = coder.bit(models.present[not past.absent])
    past.absent, past.surprise = not present, 0
    if not present:
        return None
    flat = coder.bit(models.flat)
    guess = base + past.track.guess()
    mean = guess + models.mean.signed(coder)
    past.surprise = mean - guess
    past.track.learn(mean - base)
    if flat:
        return mean, mean, mean
    up = models.up.unsigned(coder)
    return mean - models.down.unsigned(coder), mean, mean + up


def mean_of(value, otherwise=None):
    return otherwise if value is None else value[1]


class Head:
    unix_ms = phase = inhibits = 0
    spans = (None,) * 6


def heads_of(stream, rows, first_ms, single):
    """`column`, "A head"."""
    coder = Decoder(stream)
    interval, rare, codes = wide(), Bit(3_000, 4), [Number(), Number()]
    models = [Models(near(), False) for _ in range(2)]
    models += [Models(wide(), single) for _ in range(4)]
    past = [Past() for _ in range(6)]
    last, last_ms = Head(), 0
    last.unix_ms = first_ms
    heads = []
    for _ in range(rows):
        head = Head()
        last_ms += interval.signed(coder)
        head.unix_ms = last.unix_ms + last_ms
        head.phase, head.inhibits = last.phase, last.inhibits
        if coder.bit(rare):
            head.phase ^= codes[0].unsigned(coder) & 0xFF
            head.inhibits ^= codes[1].unsigned(coder) & 0xFFFF_FFFF
        voltage = span(coder, models[0], past[0], 0)
        middle = mean_of(voltage, mean_of(last.spans[0], 0))
        rest = [span(coder, models[n], past[n], middle if n == 2 else 0) for n in range(1, 6)]
        head.spans = (voltage, *rest)
        heads.append(head)
        last = head
    return heads


def around(coder, models, mean):
    """Lowest, mean and highest where the mean stands already: version 2 of a record."""
    flat, up, down = models
    if coder.bit(flat):
        return mean, mean, mean
    most = mean + up.unsigned(coder)
    return mean - down.unsigned(coder), mean, most


def records_of(stream, heads, single, spread):
    """`column`, "A record"."""
    coder = Decoder(stream)
    is_rare, changed = Bit(2_000, 6), [Bit() for _ in range(4)]
    codes = [Number() for _ in range(4)]
    models = [Models(near(), single), Models(near(), single), Models(wide(), single)]
    past = [Past() for _ in range(3)]
    resting = [[Bit(odds, 1) for _ in range(6)] for odds in (20_000, 50_000)]
    rested, kept, middle = True, [0] * 4, [0, 0]
    spreads = [(Bit(60_000, 4), near(), near()) for _ in range(3)] if spread else []
    product = square = 0
    for head in heads:
        if coder.bit(is_rare):
            for field in range(4):
                if not coder.bit(changed[field]):
                    continue
                if field == 0:
                    kept[0] ^= codes[0].unsigned(coder)
                else:
                    kept[field] += codes[field].signed(coder)
        middle = [mean_of(head.spans[n], middle[n]) for n in range(2)]
        voltage = span(coder, models[0], past[0], middle[0])
        temperature = span(coder, models[1], past[1], middle[1])
        target = mean_of(head.spans[2])
        hunger = 5
        if voltage is not None and target is not None:
            hunger = max(-2, min(voltage[1] - target, 2)) + 2
        rested = coder.bit(resting[rested][hunger])
        duty = (0, 0, 0)
        if not rested:
            cause = past[0].surprise
            pulled = 0
            if square >= 16 and abs(cause) <= 1 << 12:
                pulled = over(cause * product, square)
            duty = span(coder, models[2], past[2], pulled) or (0, 0, 0)
            effect = pulled + past[2].surprise
            if abs(cause) <= 1 << 12 and abs(effect) <= 1 << 12:
                product += cause * effect - over(product, 32)
                square += cause * cause - over(square, 32)
        rare = [code - 1 for code in kept[1:]]
        rare = [None if mean < 0 else (mean, mean, mean) for mean in rare]
        for at, models in enumerate(spreads):
            if rare[at] is not None:
                rare[at] = around(coder, models, rare[at][1])
        yield head, voltage, temperature, duty, kept[0], rare


def points_of(stream, rows, first_s, grain):
    """Rows of a point: `series`, "Bytes"."""
    coder = Decoder(stream)
    interval, other, qualities = near(), Bit(1_000, 8), [Bit() for _ in range(4)]
    models, past = Models(wide(), False), Past()
    unix_s, last_s, quality = first_s, 0, 0
    for _ in range(rows):
        last_s += interval.signed(coder)
        unix_s += last_s
        if coder.bit(other):
            high = coder.bit(qualities[0])
            quality = high << 1 | coder.bit(qualities[1 + high])
        value = span(coder, models, past, 0)
        yield unix_s, value and [part * 10**grain for part in value], quality


def number_at(data, at):
    """LEB128."""
    number = shift = 0
    while True:
        number |= (data[at] & 0x7F) << shift
        shift, at = shift + 7, at + 1
        if data[at - 1] < 0x80:
            return number, at


def sealed(column, versions, before):
    """What stands between the first byte and the check sum."""
    body, crc = column[:-4], struct.unpack("<I", column[-4:])[0]
    assert body[0] in versions, f"a column begins with {body[0]:#04x}"
    assert zlib.crc32(before + body) == crc, "a check sum is wrong"
    return body[1:], crc


def columns_of(data):
    """Every frame: (level, period, string, part, block, column), and the end's."""
    assert data[:8] in (b"EVKHIST2", b"EVKHIST1"), "no exported history"
    at, count = 8, 0
    while data[at] != 0xFF:
        level, period, string, part, block, length = struct.unpack_from("<BIHHHI", data, at)
        yield level, period, string, part, block, data[at + 15 : at + 15 + length]
        at, count = at + 15 + length, count + 1
    columns, crc = struct.unpack_from("<QI", data, at + 1)
    assert columns == count and crc == zlib.crc32(data[: at + 9]), "the end does not match"
    assert data[at + 13 :] == b"\0\0", "something follows the end"


def read(data, of_block, of_point):
    """Hand every row to one of the two."""
    heads, crc = [], 0
    for level, period, string, part, block, column in columns_of(data):
        place = struct.pack("<BI", level, period)
        if string == 0:
            name, column = column[1 : 1 + column[0]].decode(), column[1 + column[0] :]
            body, _ = sealed(column, (0x13,), place + name.encode())
            rows, at = number_at(body, 2)
            first_s, at = number_at(body, at)
            for row in points_of(body[at:], rows, first_s, body[1]):
                of_point(level, name, *row)
        elif block == 0:
            body, crc = sealed(column, (0x10,), place + struct.pack("<HH", string, part))
            rows, at = number_at(body, 0)
            _, at = number_at(body, at)
            first_ms, at = number_at(body, at)
            heads = heads_of(body[at:], rows, first_ms, level == 0)
        else:
            body, _ = sealed(column, (0x11, 0x21), struct.pack("<IQ", crc, block - 1))
            for record in records_of(body, heads, level == 0, column[0] == 0x21):
                of_block(level, string, block, *record)


def time_of(unix_ms):
    at = datetime.fromtimestamp(unix_ms // 1_000, timezone.utc)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{unix_ms % 1_000:03}Z"


def written(value, decimals, order=(1, 0, 2)):
    """Mean, lowest and highest, or nothing."""
    parts = [None] * 3 if value is None else [value[at] for at in order]
    return ["" if part is None else f"{part / 10**decimals:.{decimals}f}" for part in parts]


BLOCK_HEAD = (
    "time,string,block,voltage_v,voltage_min_v,voltage_max_v,temperature_c,temperature_min_c,"
    "temperature_max_c,bypass_percent,bypass_min_percent,bypass_max_percent,resistance_mohm,"
    "charge_percent,capacity_ah,quality,flags,target_v,current_a,string_v,ambient_c"
)


def block_line(string, block, head, voltage, temperature, duty, state, rare):
    spans = [(2, 3), (3, 3), (4, 3), (5, 1)]
    parts = [time_of(head.unix_ms), str(string), str(block)]
    parts += written(voltage, 3) + written(temperature, 1)
    parts += [f"{duty[at] / 2:.1f}" for at in (1, 0, 2)]
    parts += [written(value, places)[0] for value, places in zip(rare, (3, 1, 2))]
    parts += [QUALITIES[state & 3], str(state >> 12 & 0xFF)]
    parts += [written(head.spans[at], places)[0] for at, places in spans]
    return ",".join(parts)


def main(path, what="", *of):
    with open(path, "rb") as file:
        data = file.read()
    counts = {}

    def of_block(level, string, block, *record):
        counts["records", level] = counts.get(("records", level), 0) + 1
        if what == "block" and level == 0 and of == (str(string), str(block)):
            print(block_line(string, block, *record))

    def of_point(level, name, unix_s, value, quality):
        counts["values", level] = counts.get(("values", level), 0) + 1
        if what == "point" and level == 0 and name == of[0]:
            parts = [time_of(unix_s * 1_000), name, *written(value, 6), QUALITIES[quality]]
            print(",".join(parts))

    if what == "block":
        print(BLOCK_HEAD)
    elif what == "point":
        print("time,point,value,min,max,quality")
    read(data, of_block, of_point)
    if not what:
        for (kind, level), count in sorted(counts.items()):
            print(f"{kind}, level {level}: {count}")


main(*sys.argv[1:])
