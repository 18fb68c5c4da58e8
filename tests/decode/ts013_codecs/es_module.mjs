import { Buffer as Bytes } from "buffer";

export const MINUTE = 60000;

export function decodeUplink(input) {
  const bytes = Bytes.from(input.bytes);
  return {
    data: {
      serial: bytes.subarray(11).toString(),
      volume: bytes.readUInt32BE(1),
      temperature: bytes.readInt16LE(5) / 100,
      leak: Boolean(bytes[7] & 1),
      battery: bytes[8] / 50,
      time: new Date(input.recvTime.getTime() - bytes.readUInt16BE(9) * MINUTE).toISOString(),
    },
  };
}
