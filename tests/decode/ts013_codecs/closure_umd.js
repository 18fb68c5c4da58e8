/* A bundle: one expression that gives itself to whoever is there. */
(function (root, factory) {
  if (typeof define === 'function' && define.amd) define([], factory);
  else if (typeof module === 'object' && module.exports) module.exports = factory();
  else root.codec = factory();
}(typeof self !== 'undefined' ? self : this, function () {
  var table = [
    ['type', 0, 1], ['volume', 1, 4], ['leak', 7, 1], ['battery', 8, 1], ['age', 9, 2]
  ];
  var counter = (function () { var n = 0; return function () { return n++; }; })();
  function read(bytes, from, size) {
    for (var value = 0, i = 0; i < size; i++) value = value * 256 + bytes[from + i];
    return value;
  }
  return {
    decodeUplink: function (input) {
      var bytes = input.bytes, found = {}, i;
      for (i = 0; i < table.length; i++) {
        found[table[i][0]] = read(bytes, table[i][1], table[i][2]);
      }
      var swapped = bytes[6] << 8 | bytes[5];
      return { data: {
        serial: bytes.slice(11).reduce(function (text, b) { return text + String.fromCharCode(b); }, ''),
        volume: found.volume,
        temperature: (swapped & 0x8000 ? swapped - 0x10000 : swapped) / 100,
        leak: !!(found.leak & 1),
        battery: found.battery / 50,
        time: new Date(input.recvTime - found.age * 60000),
        nth: counter() || undefined
      } };
    }
  };
}));
