// ES5 with constructors, and with functions added to the engine's own, as old files do.
if (!String.prototype.padLeft) {
  String.prototype.padLeft = function (size, sign) {
    var text = String(this);
    while (text.length < size) text = sign + text;
    return text;
  };
}
Array.prototype.last = function () { return this[this.length - 1]; };

function Meter(bytes) {
  this.bits = '';
  for (var i = 0; i < bytes.length; i++) this.bits += bytes[i].toString(2).padLeft(8, '0');
  this.bytes = bytes;
}
Meter.prototype.number = function (from, size) {
  return parseInt(this.bits.substring(from * 8, (from + size) * 8), 2);
};
Meter.prototype.toString = function () {
  return this.bytes.slice(11).map(function (b) { return String.fromCharCode(b); }).join('');
};
function WaterMeter(bytes) { Meter.call(this, bytes); }
WaterMeter.prototype = Object.create(Meter.prototype);
WaterMeter.prototype.constructor = WaterMeter;

function decodeUplink(input) {
  var meter = new WaterMeter(input.bytes);
  var raw = meter.number(6, 1) * 256 + meter.number(5, 1);
  return {
    data: {
      serial: '' + meter,
      volume: meter.number(1, 4),
      temperature: (raw < 32768 ? raw : raw - 65536) / 100,
      leak: meter.bits.charAt(63) === '1',
      battery: meter.number(8, 1) / 50,
      time: new Date(input.recvTime.getTime() - meter.number(9, 2) * 60000).toISOString()
    }
  };
}
