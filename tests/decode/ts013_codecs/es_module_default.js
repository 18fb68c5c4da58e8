const pick = (bytes, ...at) => at.map((i) => bytes[i]);

const word = (bytes) => bytes.reduce((sum, byte) => sum * 256 + byte, 0);

export default {
  decodeUplink: ({ bytes, recvTime }) => ({
    data: {
      serial: String.fromCharCode(...bytes.slice(11)),
      volume: word(pick(bytes, 1, 2, 3, 4)),
      temperature: (word(pick(bytes, 6, 5)) << 16 >> 16) / 100,
      leak: (bytes[7] & 1) === 1,
      battery: bytes[8] / 50,
      time: new Date(recvTime.getTime() - word(pick(bytes, 9, 10)) * 60000).toISOString(),
    },
  }),
};

export { word as bigEndian };
