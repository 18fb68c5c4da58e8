// CommonJS by name, with hexadecimal text in between.
var toHex = function (bytes) {
  return bytes.map(function (byte) { return ('0' + (byte & 0xff).toString(16)).slice(-2); }).join('');
};
exports.decodeUplink = function (input) {
  var hex = toHex(input.bytes).toUpperCase();
  var at = function (from, size) { return hex.substr(from * 2, size * 2); };
  var little = at(5, 2).match(/.{1,2}/g).reverse().join('');
  var raw = parseInt(little, 16);
  var serial = decodeURIComponent(at(11, input.bytes.length - 11).replace(/(..)/g, '%$1'));
  return { data: {
    serial: serial,
    volume: parseInt(at(1, 4), 16),
    temperature: parseFloat(((raw << 16 >> 16) / 100).toFixed(2)),
    leak: parseInt(at(7, 1).charAt(1), 16) % 2 == 1,
    battery: parseInt(at(8, 1), 16) / 50,
    time: new Date(input.recvTime.valueOf() - parseInt(at(9, 2), 16) * 6e4).toISOString()
  } };
};
