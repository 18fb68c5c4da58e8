// Classes, one inheriting from the other; the exported object is an instance.
class Reader {
  #bytes;
  constructor(bytes) { this.#bytes = bytes; this.at = 0; }
  unsigned(size) {
    let value = 0;
    while (size-- > 0) value = value * 256 + this.#bytes[this.at++];
    return value;
  }
  rest() { return this.#bytes.slice(this.at); }
  toString() { return String.fromCodePoint(...this.rest()); }
}

class LittleReader extends Reader {
  signed16() {
    const swapped = this.unsigned(2);
    return ((((swapped & 255) << 8) | (swapped >> 8)) << 16) >> 16;
  }
}

class MeterError extends Error {
  constructor(message) { super(message); this.name = "MeterError"; }
}

class Codec {
  static SCALE = 100;
  battery = 50;

  decodeUplink({ bytes, recvTime }) {
    const reader = new LittleReader(bytes);
    if (reader.unsigned(1) !== 1) throw new MeterError("not a reading");
    const data = { volume: reader.unsigned(4), temperature: reader.signed16() / Codec.SCALE };
    data.leak = Boolean(reader.unsigned(1) & 1);
    data.battery = reader.unsigned(1) / this.battery;
    data.time = new Date(recvTime.getTime() - reader.unsigned(2) * 60000).toISOString();
    data.serial = `${reader}`;
    return { data };
  }
}

module.exports = new Codec();
