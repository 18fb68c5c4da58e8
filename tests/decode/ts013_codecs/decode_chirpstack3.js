// The signature of ChirpStack v3; the factor comes from the device's variables.
function Decode(fPort, bytes, variables) {
  var decoded = {};
  if (fPort == 7) {
    decoded.serial = String.fromCharCode.apply(null, bytes.slice(11));
    decoded.volume = readUInt32BE(bytes.slice(1, 5));
    decoded.temperature = readInt16LE(bytes.slice(5, 7)) / 100;
    decoded.leak = (bytes[7] & 1) ? true : false;
    decoded.battery = bytes[8] / variables.battery_divisor;
    decoded.time = new Date(new Date().getTime() - (bytes[9] * 256 + bytes[10]) * 60 * 1000);
  }
  return decoded;
}
function readUInt32BE(b) { return (b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3]) >>> 0; }
function readInt16LE(b) { var v = b[1] << 8 | b[0]; return v > 0x7fff ? v - 0x10000 : v; }
