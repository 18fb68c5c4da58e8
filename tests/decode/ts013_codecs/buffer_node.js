// Written for Node.js: Buffer from its module, typed reads.
const { Buffer } = require("node:buffer");
const util = require("util");

function decodeUplink(input) {
  const buf = Buffer.from(input.bytes);
  console.log("payload %s on port %d", buf.toString("hex"), input.fPort);
  return {
    data: {
      serial: buf.toString("ascii", 11),
      volume: buf.readUInt32BE(1),
      temperature: buf.readInt16LE(5) / 100,
      leak: (buf.readUint8(7) & 1) > 0,
      battery: buf[8] / 50,
      time: new Date(+input.recvTime - buf.readUIntBE(9, 2) * 60000).toISOString(),
    },
  };
}
