// A plain function of ES5, as most catalogues have it.
function decodeUplink(input) {
  var b = input.bytes;
  var i;
  var serial = '';
  if (b[0] !== 1) {
    return { errors: ['unknown message type ' + b[0]] };
  }
  for (i = 11; i < b.length; i++) {
    serial += String.fromCharCode(b[i]);
  }
  var temperature = b[5] | (b[6] << 8);
  if (temperature > 0x7fff) temperature -= 0x10000;
  return {
    data: {
      serial: serial,
      volume: ((b[1] << 24) | (b[2] << 16) | (b[3] << 8) | b[4]) >>> 0,
      temperature: temperature / 100,
      leak: (b[7] & 1) === 1,
      battery: b[8] / 50,
      time: new Date(input.recvTime.getTime() - ((b[9] << 8) | b[10]) * 60000).toISOString()
    },
    warnings: [],
    errors: []
  };
}
