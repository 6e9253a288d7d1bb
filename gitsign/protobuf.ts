import { concat } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';

/** One field of a message: its number, and a number or bytes. */
export type ProtobufField = readonly [number: number, value: bigint | Uint8Array];

const VARINT = 0;
const BYTES = 2;
/** Bytes of a varint of 64 bits. */
const MAX_VARINT_BYTES = 10;

const fail = (problem: string): InputError => new InputError('ENTRY_INVALID', `not a protobuf message: ${problem}`);

/**
 * The fields of a message in the order that they come (protobuf wire format), at most `max`. Only what entries of a log are made
 * of is read: varints of 64 bits and bytes. Varints have to be minimal. Errors: ENTRY_INVALID.
 */
export function parseProtobuf(bytes: Uint8Array, max: number): ProtobufField[] {
  const fields: ProtobufField[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at++];
      if (byte === undefined) throw fail('truncated');
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte >= 0x80) continue;
      if ((byte === 0 && i > 0) || value >= 1n << 64n) throw fail('a number not in its shortest form');
      return value;
    }
    throw fail('a number of more than 64 bits');
  };
  while (at < bytes.length) {
    if (fields.length === max) throw fail(`more than ${max} fields`);
    const key = varint();
    const [number, type] = [Number(key >> 3n), Number(key & 7n)];
    if (number === 0 || number > 1000) throw fail('a field number that no message has');
    if (type === VARINT) fields.push([number, varint()]);
    else if (type === BYTES) {
      const length = varint();
      if (length > BigInt(bytes.length - at)) throw fail('truncated');
      fields.push([number, bytes.subarray(at, at + Number(length))]);
      at += Number(length);
    } else throw fail(`a field of wire type ${type}`);
  }
  return fields;
}

/** The message with these fields in this order. What proto3 leaves out, zeros and empty bytes, is the caller's to leave out. */
export function serializeProtobuf(fields: readonly ProtobufField[]): Uint8Array {
  return concat(
    ...fields.flatMap(([number, value]) => {
      const key = (type: number): Uint8Array => varintBytes((BigInt(number) << 3n) | BigInt(type));
      return typeof value === 'bigint'
        ? [key(VARINT), varintBytes(value)]
        : [key(BYTES), varintBytes(BigInt(value.length)), value];
    }),
  );
}

function varintBytes(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
