// The signature of The Things Network v2; variables without a declaration, as is common.
function Decoder(bytes, port) {
  decoded = {};
  if (port !== 7) return decoded;
  function text(from) {
    out = "";
    for (k = from; k < bytes.length; k++) out += String.fromCharCode(bytes[k]);
    return out;
  }
  decoded.serial = text(11);
  decoded.volume = bytes[1] * 16777216 + bytes[2] * 65536 + bytes[3] * 256 + bytes[4];
  decoded.temperature = ((bytes[6] << 24 >> 16) | bytes[5]) / 100;
  decoded.leak = !!(bytes[7] & 0x01);
  decoded.battery = bytes[8] / 50;
  decoded.time = new Date(Date.now() - (bytes[9] << 8 | bytes[10]) * 60000);
  return decoded;
}
