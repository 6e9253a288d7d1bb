import type { Random } from './random.ts';

/** Inputs grow no further than this: above every limit of the formats but the bundle's. */
export const MAX_INPUT_BYTES = 512 * 1024;

const INTERESTING = [
  0x00, 0x01, 0x0a, 0x20, 0x22, 0x2c, 0x30, 0x5c, 0x7f, 0x80, 0x81, 0x84, 0x88, 0xa0, 0xc3, 0xfe, 0xff,
];

/** Some bytes changed, left out, repeated, or taken from another input. */
export function mutateBytes(input: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
  let bytes: Buffer = Buffer.from(input);
  for (let times = 1 + random.below(4); times > 0; times--) bytes = changeOnce(bytes, other, random);
  return new Uint8Array(bytes.subarray(0, MAX_INPUT_BYTES));
}

function changeOnce(bytes: Buffer, other: Uint8Array, random: Random): Buffer {
  if (bytes.length === 0) return Buffer.from(other);
  const at = random.below(bytes.length);
  const length = 1 + random.below(random.oneIn(4) ? bytes.length - at : Math.min(16, bytes.length - at));
  const [before, range, after] = [bytes.subarray(0, at), bytes.subarray(at, at + length), bytes.subarray(at + length)];
  switch (random.below(8)) {
    case 0:
    case 1: {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ (1 << random.below(8));
      return copy;
    }
    case 2: {
      const copy = Buffer.from(bytes);
      copy[at] = random.pick(INTERESTING);
      return copy;
    }
    case 3:
      return Buffer.concat([before, after]);
    case 4:
      return Buffer.concat([before, range, range, after]);
    case 5: {
      const from = random.below(other.length + 1);
      return Buffer.concat([before, other.subarray(from, from + length), random.oneIn(2) ? after : bytes.subarray(at)]);
    }
    case 6:
      return before;
    default: {
      const times = random.oneIn(50) ? Math.floor(MAX_INPUT_BYTES / length / 4) : 1 + random.below(64);
      return Buffer.concat([before, ...Array.from({ length: times }, () => range), after]);
    }
  }
}
