// ACME P10 pulse counter, uplink on port 10, big-endian:
//   byte 0      message type: 1 reading
//   bytes 1-4   pulses counted, 10 L each
//   byte 5      flags: bit 0 battery low, bit 1 tamper, bit 2 leak
//   byte 6      battery in steps of 0.02 V
//   bytes 7-8   minutes since the count was taken
function decodeUplink(input) {
  var b = input.bytes;
  if (input.fPort !== 10) return { errors: ['unknown port ' + input.fPort] };
  if (b[0] !== 1) return { errors: ['unknown message type ' + b[0]] };
  var minutes = (b[7] << 8) | b[8];
  return {
    data: {
      volume: (((b[1] << 24) | (b[2] << 16) | (b[3] << 8) | b[4]) >>> 0) * 10,
      measured: new Date(input.recvTime.getTime() - minutes * 60000).toISOString(),
      battery: b[6] / 50,
      battery_low: (b[5] & 1) !== 0,
      tamper: (b[5] & 2) !== 0,
      leak: (b[5] & 4) !== 0
    },
    warnings: b[5] & 1 ? ['replace the battery'] : [],
    errors: []
  };
}
