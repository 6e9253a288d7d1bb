// Values like another one with a single change: every byte of what is base64, every character of what is text, every
// neighbour of what is a number.
import { serializeBase64 } from '../../core/bytes/bytes.ts';
import type { Leaf } from './paths.ts';

export interface Flip {
  /** The byte or character that was changed, -1 for a change of the length. */
  readonly at: number;
  readonly value: string | number | boolean;
}

/** What is as long as a signature or shorter is changed in several ways at each byte, what is longer in one that moves on. */
const SHORT = 104;
const MASKS = [0x01, 0x80, 0xff] as const;

export function* flipsOf({ value }: Leaf): Generator<Flip> {
  if (typeof value === 'boolean') yield { at: 0, value: !value };
  else if (typeof value === 'number')
    for (const near of [value + 1, value - 1, -value - 1]) yield { at: 0, value: near };
  else if (/^[0-9]+$/.test(value)) yield* flipsOfNumber(BigInt(value));
  else if (isBase64(value)) yield* flipsOfBytes(Buffer.from(value, 'base64'));
  else yield* flipsOfText(value);
}

function* flipsOfNumber(value: bigint): Generator<Flip> {
  const near = [value + 1n, value - 1n, value ^ 0x80n, value + 2n ** 32n, 2n ** 63n - 1n, 2n ** 63n, -1n];
  for (const other of new Set(near)) if (other !== value) yield { at: 0, value: other.toString() };
  yield { at: -1, value: `0${value}` };
  yield { at: -1, value: `${value}.0` };
}

function* flipsOfBytes(bytes: Buffer): Generator<Flip> {
  for (let at = 0; at < bytes.length; at++) {
    const masks = bytes.length <= SHORT ? MASKS : [1 << (at % 8)];
    for (const mask of masks) {
      const copy = Buffer.from(bytes);
      copy[at] = (copy[at] as number) ^ mask;
      yield { at, value: serializeBase64(copy) };
    }
  }
  yield { at: -1, value: '' };
  yield { at: -1, value: serializeBase64(bytes.subarray(0, -1)) };
  yield { at: -1, value: serializeBase64(bytes.subarray(1)) };
  yield { at: -1, value: serializeBase64(Buffer.concat([bytes, Buffer.of(0)])) };
}

function* flipsOfText(text: string): Generator<Flip> {
  for (let at = 0; at < text.length; at++) {
    for (const mask of MASKS.slice(0, text.length <= SHORT ? 2 : 1)) {
      const other = String.fromCharCode(text.charCodeAt(at) ^ mask);
      yield { at, value: text.slice(0, at) + other + text.slice(at + 1) };
    }
  }
  yield { at: -1, value: '' };
  yield { at: -1, value: text.slice(0, -1) };
  yield { at: -1, value: `${text} ` };
}

const isBase64 = (text: string): boolean =>
  text.length > 3 && /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(text);
