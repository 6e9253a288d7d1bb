import { concat } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';

const fail = (problem: string): InputError => new InputError('CERTIFICATE_INVALID', `not a TLS structure: ${problem}`);

/** Reads the TLS presentation language (RFC 8446 §3) that RFC 6962 is written in. Call `end` when done. Errors: CERTIFICATE_INVALID. */
export class TlsReader {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  get done(): boolean {
    return this.#at === this.#bytes.length;
  }

  end(): void {
    if (!this.done) throw fail('data after the last field');
  }

  /** The next `count` bytes, a view. */
  bytes(count: number): Uint8Array {
    const end = this.#at + count;
    if (end > this.#bytes.length) throw fail('truncated');
    const bytes = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return bytes;
  }

  /** An unsigned number of 1 to 4 bytes. */
  number(width: number): number {
    let value = 0;
    for (const byte of this.bytes(width)) value = value * 256 + byte;
    return value;
  }

  uint64(): bigint {
    return (BigInt(this.number(4)) << 32n) | BigInt(this.number(4));
  }

  /** `opaque<0..2^(8·width)-1>`. */
  opaque(width: number): Uint8Array {
    return this.bytes(this.number(width));
  }
}

/** An unsigned number of `width` bytes. */
export function uint(width: number, value: number | bigint): Uint8Array {
  const bytes = new Uint8Array(width);
  let rest = BigInt(value);
  for (let i = width - 1; i >= 0; i--) {
    bytes[i] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  if (rest !== 0n) throw new Error(`internal: ${value} does not fit into ${width} bytes`);
  return bytes;
}

/** `opaque<0..2^(8·width)-1>`. */
export const opaque = (width: number, content: Uint8Array): Uint8Array => concat(uint(width, content.length), content);
