// Typed arrays, a DataView and a TextDecoder, as browsers have them.
function decodeUplink(input) {
  var array = Uint8Array.from(input.bytes);
  var view = new DataView(array.buffer);
  return {
    data: {
      serial: new TextDecoder('utf-8').decode(array.subarray(11)),
      volume: view.getUint32(1),
      temperature: view.getInt16(5, true) / 100,
      leak: (view.getUint8(7) & 1) === 1,
      battery: view.getUint8(8) / 50,
      time: new Date(input.recvTime.getTime() - view.getUint16(9) * 60000).toISOString()
    },
    warnings: [],
    errors: []
  };
}
