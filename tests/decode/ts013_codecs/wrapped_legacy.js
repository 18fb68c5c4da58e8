// A file for three servers at once: the newest signature is the one that is called.
function Decode(fPort, bytes) { return decode(bytes, fPort, new Date()); }
function Decoder(bytes, port) { return decode(bytes, port, new Date()); }
function decodeUplink(input) {
  var data = decode(input.bytes, input.fPort, input.recvTime);
  return data === null ? { errors: ["Invalid fPort"] } : { data: data, warnings: [] };
}

function decode(bytes, port, received) {
  switch (port) {
    case 7:
      var d = {}, i = 1;
      d.volume = (bytes[i++] << 24 >>> 0) + (bytes[i++] << 16) + (bytes[i++] << 8) + bytes[i++];
      d.temperature = (bytes[i++] | bytes[i++] << 24 >> 16) / 100;
      d.leak = (bytes[i++] & 1) != 0;
      d.battery = bytes[i++] / 50;
      d.time = new Date(received - (bytes[i++] << 8 | bytes[i++]) * 60000).toISOString();
      d.serial = bin2String(bytes.slice(i));
      return d;
    default:
      return null;
  }
}

function bin2String(array) {
  var result = "";
  for (var i in array) result += String.fromCharCode(parseInt(array[i]));
  return result;
}
