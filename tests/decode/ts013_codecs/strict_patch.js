'use strict';
// Adds to the engine's own while it runs, and in strict mode.
function decodeUplink(input) {
  Number.prototype.bit = function (n) { return (this >> n & 1) === 1; };
  var b = input.bytes;
  return {
    data: {
      serial: b.slice(11).map((x) => String.fromCharCode(x)).join(''),
      volume: Number(BigInt.asUintN(32, BigInt((b[1] << 24) | (b[2] << 16) | (b[3] << 8) | b[4]))),
      temperature: ((b[6] << 8 | b[5]) << 16 >> 16) / 100,
      leak: b[7].bit(0),
      battery: b[8] / 50,
      time: new Date(input.recvTime.getTime() - (b[9] << 8 | b[10]) * 60000).toISOString()
    }
  };
}
