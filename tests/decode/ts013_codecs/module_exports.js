"use strict";
// CommonJS: everything is exported at the end.
const FLAGS = { leak: 0 };
let calls = 0;

const decodeUplink = ({ bytes, recvTime }) => {
  calls += 1;
  if (calls > 1) return { errors: ["called before"] };
  const age = (bytes[9] << 8) | bytes[10];
  const data = {
    serial: bytes.slice(11).map((b) => String.fromCharCode(b)).join(""),
    volume: bytes.slice(1, 5).reduce((sum, b) => sum * 256 + b, 0),
    temperature: Int16Array.of((bytes[6] << 8) | bytes[5])[0] / 100,
    leak: Boolean((bytes[7] >> FLAGS.leak) & 1),
    battery: bytes[8] / 50,
    time: new Date(recvTime - age * 60_000).toJSON(),
    absent: undefined,
  };
  return { data, warnings: [] };
};

module.exports = { decodeUplink, encodeDownlink: () => ({ bytes: [] }) };
