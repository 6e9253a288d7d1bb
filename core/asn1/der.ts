import { concat, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_DER_DEPTH, MAX_OID_ARC_BITS, MAX_OID_ARCS } from '../limits.ts';

/** Identifier octets that Sigstore's formats use (X.690 §8.1.2). All are one byte: higher tag numbers are refused. */
export const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  printableString: 0x13,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;

/** Tag of a context-specific element `[n]`: constructed (EXPLICIT, or IMPLICIT of a constructed type) or primitive. */
export const contextTag = (n: number, constructed = true): number => (constructed ? 0xa0 : 0x80) | n;

function fail(problem: string): InputError {
  return new InputError('DER_INVALID', `not DER: ${problem}`);
}

// A certificate has two dozen identifiers, nearly always of the same few: to find one here costs a tenth of decoding it, as the
// bytes need no view and no text. One identifier for each hash. Filled by use and never emptied: whoever sends many new ones
// gains nothing and slows itself.
const MAX_KNOWN_OIDS = 256;
const knownOids = new Map<number, { readonly content: Uint8Array; readonly dotted: string }>();

/** Bytes of a BIT STRING of named bits: the longest list that a standard names has 26 bits (RFC 3161 PKIFailureInfo). */
const MAX_NAMED_BIT_BYTES = 5;

/**
 * Reads the elements of one DER content, strictly (X.690 §10, §11): definite minimal lengths, minimal integers, canonical
 * booleans. A reader that is not read to its end is an error: call `end`.
 */
export class DerReader {
  readonly #bytes: Uint8Array;
  readonly #depth: number;
  readonly #end: number;
  #at: number;
  // Where the content of the element read last begins; it ends at #at. Views cost more than all else here, so most methods
  // make none.
  #content: number;

  /** Reads `bytes`, or the part of it from `start` to `end`. */
  constructor(bytes: Uint8Array, depth = 0, start = 0, end = bytes.length) {
    if (depth > MAX_DER_DEPTH) throw fail(`nested deeper than ${MAX_DER_DEPTH}`);
    this.#bytes = bytes;
    this.#depth = depth;
    this.#end = end;
    this.#at = start;
    this.#content = start;
  }

  get done(): boolean {
    return this.#at === this.#end;
  }

  /** The next element's tag, undefined at the end. */
  get tag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** Where in the bytes the next element begins. */
  get position(): number {
    return this.#at;
  }

  end(): void {
    if (!this.done) throw fail('data after the last element');
  }

  // Steps over the next element and returns its tag.
  #next(): number {
    const bytes = this.#bytes;
    const start = this.#at;
    const end = this.#end;
    if (start >= end) throw fail('element missing');
    const tag = bytes[start] as number;
    if ((tag & 0x1f) === 0x1f) throw fail('multi-byte tag');
    if (start + 1 >= end) throw fail('truncated length');
    const first = bytes[start + 1] as number;
    let at = start + 2;
    let length = first;
    if (first >= 0x80) {
      const count = first & 0x7f;
      if (count === 0) throw fail('indefinite length');
      if (count > 4) throw fail('length of more than 4 bytes');
      length = 0;
      for (let i = 0; i < count; i++) {
        if (at >= end) throw fail('truncated length');
        length = length * 256 + (bytes[at++] as number);
      }
      if (length < 0x80 || length < 256 ** (count - 1)) throw fail('length not minimal');
    }
    if (at + length > end) throw fail('truncated content');
    this.#content = at;
    this.#at = at + length;
    return tag;
  }

  #nextOf(tag: number): void {
    if (this.tag !== tag)
      throw fail(
        `expected tag 0x${tag.toString(16)}, found ${this.tag === undefined ? 'the end' : `0x${this.tag.toString(16)}`}`,
      );
    this.#next();
  }

  /** The next element: its tag, its content, and the whole encoding. The arrays are views. */
  element(): { tag: number; content: Uint8Array; encoding: Uint8Array } {
    const start = this.#at;
    const tag = this.#next();
    return {
      tag,
      content: this.#bytes.subarray(this.#content, this.#at),
      encoding: this.#bytes.subarray(start, this.#at),
    };
  }

  /** The whole encoding of the next element, which must carry `tag`. */
  encoding(tag: number): Uint8Array {
    const start = this.#at;
    this.#nextOf(tag);
    return this.#bytes.subarray(start, this.#at);
  }

  /** The content of the next element, which must carry `tag`. */
  read(tag: number): Uint8Array {
    this.#nextOf(tag);
    return this.#bytes.subarray(this.#content, this.#at);
  }

  /** The content if the next element carries `tag`, else undefined and nothing is consumed. */
  optional(tag: number): Uint8Array | undefined {
    return this.tag === tag ? this.read(tag) : undefined;
  }

  /** A reader over the content of the next element, which must be constructed and carry `tag`. */
  constructed(tag: number): DerReader {
    this.#nextOf(tag);
    return new DerReader(this.#bytes, this.#depth + 1, this.#content, this.#at);
  }

  optionalConstructed(tag: number): DerReader | undefined {
    return this.tag === tag ? this.constructed(tag) : undefined;
  }

  sequence(): DerReader {
    return this.constructed(TAG.sequence);
  }

  set(): DerReader {
    return this.constructed(TAG.set);
  }

  /** INTEGER as big-endian two's complement content, minimal (X.690 §8.3.2), at most `maxBytes`. */
  integerBytes(maxBytes = 520): Uint8Array {
    const content = this.read(TAG.integer);
    const [first, second] = content;
    if (first === undefined) throw fail('empty integer');
    if (second !== undefined && ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80)))
      throw fail('integer not minimal');
    if (content.length > maxBytes) throw fail(`integer longer than ${maxBytes} bytes`);
    return content;
  }

  /** A non-negative INTEGER. */
  integer(maxBytes?: number): bigint {
    const content = this.integerBytes(maxBytes);
    if ((content[0] as number) >= 0x80) throw fail('negative integer');
    return BigInt(`0x${serializeHex(content)}`);
  }

  /** A non-negative INTEGER of at most 31 bits. */
  smallInteger(): number {
    const content = this.integerBytes(4);
    if ((content[0] as number) >= 0x80) throw fail('negative integer');
    let value = 0;
    for (const byte of content) value = value * 256 + byte;
    return value;
  }

  boolean(): boolean {
    this.#nextOf(TAG.boolean);
    const value = this.#bytes[this.#content];
    if (this.#at - this.#content !== 1 || (value !== 0x00 && value !== 0xff)) throw fail('boolean not 0x00 or 0xff');
    return value === 0xff;
  }

  /** `BOOLEAN DEFAULT FALSE`: an encoded FALSE is refused (X.690 §11.5). */
  optionalTrue(): boolean {
    if (this.tag !== TAG.boolean) return false;
    if (!this.boolean()) throw fail('default value encoded');
    return true;
  }

  null(): void {
    this.#nextOf(TAG.null);
    if (this.#at !== this.#content) throw fail('NULL with content');
  }

  octetString(): Uint8Array {
    return this.read(TAG.octetString);
  }

  /** BIT STRING of whole bytes. */
  bitString(): Uint8Array {
    const content = this.read(TAG.bitString);
    if (content[0] !== 0) throw fail('bit string with unused bits');
    return content.subarray(1);
  }

  /** BIT STRING of named bits (X.690 §11.2.2): bit 0 is the highest of the first byte. */
  namedBits(): Set<number> {
    const content = this.read(TAG.bitString);
    const unused = content[0];
    if (unused === undefined || unused > 7 || (content.length === 1 && unused !== 0)) throw fail('bad bit string');
    if (content.length > MAX_NAMED_BIT_BYTES) throw fail('bit string with too many named bits');
    const last = content[content.length - 1] as number;
    if (content.length > 1 && ((last & ((1 << unused) - 1)) !== 0 || (last & (1 << unused)) === 0))
      throw fail('named bits not minimal');
    const bits = new Set<number>();
    for (let i = 1; i < content.length; i++) {
      for (let b = 0; b < 8; b++) if (((content[i] as number) & (0x80 >> b)) !== 0) bits.add((i - 1) * 8 + b);
    }
    return bits;
  }

  /** OBJECT IDENTIFIER in dotted form, at most MAX_OID_ARCS arcs of at most MAX_OID_ARC_BITS. */
  oid(): string {
    this.#nextOf(TAG.oid);
    let hash = 0;
    for (let i = this.#content; i < this.#at; i++) hash = (Math.imul(hash, 31) + (this.#bytes[i] as number)) | 0;
    const known = knownOids.get(hash);
    if (known !== undefined && this.#contentIs(known.content)) return known.dotted;
    const dotted = this.#decodeOid();
    if (known === undefined && knownOids.size < MAX_KNOWN_OIDS) {
      knownOids.set(hash, { content: this.#bytes.slice(this.#content, this.#at), dotted });
    }
    return dotted;
  }

  #contentIs(expected: Uint8Array): boolean {
    if (this.#at - this.#content !== expected.length) return false;
    for (let i = 0; i < expected.length; i++) if (this.#bytes[this.#content + i] !== expected[i]) return false;
    return true;
  }

  #decodeOid(): string {
    if (this.#at === this.#content) throw fail('empty object identifier');
    const arcs: (number | bigint)[] = [];
    let arc: number | bigint = 0;
    let fresh = true;
    for (let i = this.#content; i < this.#at; i++) {
      const byte = this.#bytes[i] as number;
      if (fresh && byte === 0x80) throw fail('object identifier arc not minimal');
      // Nearly all arcs fit in a number; those made of a UUID (X.667) do not.
      if (typeof arc === 'number' && arc < 2 ** 46) arc = arc * 128 + (byte & 0x7f);
      else arc = (BigInt(arc) << 7n) | BigInt(byte & 0x7f);
      if (typeof arc === 'bigint' && arc >> MAX_OID_ARC_BITS !== 0n)
        throw fail(`object identifier arc above ${MAX_OID_ARC_BITS} bits`);
      fresh = byte < 0x80;
      if (!fresh) continue;
      // The first two arcs share one number (X.690 §8.19.4).
      if (arcs.length > 0) arcs.push(arc);
      else if (typeof arc === 'bigint') arcs.push(2, arc - 80n);
      else if (arc < 80) arcs.push(Math.floor(arc / 40), arc % 40);
      else arcs.push(2, arc - 80);
      if (arcs.length > MAX_OID_ARCS) throw fail(`object identifier with more than ${MAX_OID_ARCS} arcs`);
      arc = 0;
    }
    if (!fresh) throw fail('truncated object identifier');
    return arcs.join('.');
  }

  /** UTCTime or GeneralizedTime with seconds and Z (RFC 5280 §4.1.2.5); GeneralizedTime may carry a fraction (RFC 3161 §2.4.2). */
  time(): Date {
    const tag = this.#next();
    if (tag !== TAG.utcTime && tag !== TAG.generalizedTime)
      throw fail(`expected a time, found tag 0x${tag.toString(16)}`);
    return parseTime(this.#bytes, this.#content, this.#at, tag === TAG.utcTime);
  }
}

// Digit by digit: a certificate has two times, and as texts they cost as much as all else in it.
function parseTime(bytes: Uint8Array, start: number, end: number, isShort: boolean): Date {
  const after = start + (isShort ? 12 : 14);
  if (end <= after || bytes[end - 1] !== 0x5a) throw fail('bad time');
  const hasFraction = end > after + 1;
  if (hasFraction && isShort) throw fail('bad time');
  const shortYear = twoDigits(bytes, after - 12);
  const century = isShort ? (shortYear < 50 ? 20 : 19) : twoDigits(bytes, start);
  const month = twoDigits(bytes, after - 10) - 1;
  const day = twoDigits(bytes, after - 8);
  const hour = twoDigits(bytes, after - 6);
  const minute = twoDigits(bytes, after - 4);
  const second = twoDigits(bytes, after - 2);
  const time = new Date(0);
  time.setUTCFullYear(century * 100 + shortYear, month, day);
  // Date rolls 30 February over.
  if (time.getUTCMonth() !== month || time.getUTCDate() !== day || hour > 23 || minute > 59 || second > 59)
    throw fail('bad time');
  time.setUTCHours(hour, minute, second, hasFraction ? milliseconds(bytes.subarray(after, end - 1)) : 0);
  return time;
}

function twoDigits(bytes: Uint8Array, at: number): number {
  const tens = (bytes[at] as number) - 0x30;
  const ones = (bytes[at + 1] as number) - 0x30;
  if (tens < 0 || tens > 9 || ones < 0 || ones > 9) throw fail('bad time');
  return tens * 10 + ones;
}

/** Up to nine decimals after a point, the last not 0; beyond the third they are dropped. */
function milliseconds(fraction: Uint8Array): number {
  // What is too long is not spread out into arguments.
  const text = fraction.length > 10 ? '' : String.fromCharCode(...fraction);
  if (!/^\.\d{0,8}[1-9]$/.test(text)) throw fail('bad time');
  return Number(text.slice(1, 4).padEnd(3, '0'));
}

/** One element with this tag over the joined contents. */
export function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const content of contents) length += content.length;
  if (length < 0x80) return concat(Uint8Array.of(tag, length), ...contents);
  const bytes: number[] = [];
  for (let rest = length; rest > 0; rest = Math.floor(rest / 256)) bytes.unshift(rest & 0xff);
  return concat(Uint8Array.of(tag, 0x80 | bytes.length, ...bytes), ...contents);
}

export const sequence = (...elements: readonly Uint8Array[]): Uint8Array => element(TAG.sequence, ...elements);

/** SET OF: the elements sorted by their encodings (X.690 §11.6). */
export const setOf = (...elements: readonly Uint8Array[]): Uint8Array =>
  element(TAG.set, ...elements.toSorted(Buffer.compare));

export const octetString = (bytes: Uint8Array): Uint8Array => element(TAG.octetString, bytes);
export const bitString = (bytes: Uint8Array): Uint8Array => element(TAG.bitString, Uint8Array.of(0), bytes);
export const utf8String = (text: string): Uint8Array => element(TAG.utf8String, serializeUtf8(text));
export const boolean = (value: boolean): Uint8Array => Uint8Array.of(TAG.boolean, 1, value ? 0xff : 0);
export const nullValue = (): Uint8Array => Uint8Array.of(TAG.null, 0);

/** A non-negative INTEGER. */
export function integer(value: bigint | number): Uint8Array {
  const hex = BigInt(value).toString(16);
  return integerFromBytes(Buffer.from(hex.length % 2 ? `0${hex}` : hex, 'hex'));
}

/** A non-negative INTEGER from unsigned big-endian bytes; leading zeros are dropped. */
export function integerFromBytes(unsigned: Uint8Array): Uint8Array {
  let start = 0;
  while (start < unsigned.length - 1 && unsigned[start] === 0) start++;
  const digits = unsigned.subarray(start);
  return (digits[0] ?? 0) >= 0x80 || digits.length === 0
    ? element(TAG.integer, Uint8Array.of(0), digits)
    : element(TAG.integer, digits);
}

/** BIT STRING of named bits, trailing zeros dropped (X.690 §11.2.2). */
export function namedBits(...bits: readonly number[]): Uint8Array {
  const highest = Math.max(-1, ...bits);
  const bytes = new Uint8Array(Math.floor(highest / 8) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] as number) | (0x80 >> (bit & 7));
  return element(TAG.bitString, Uint8Array.of(highest < 0 ? 0 : 7 - (highest & 7)), bytes);
}

export function oid(dotted: string): Uint8Array {
  const [first = 0n, second = 0n, ...rest] = dotted.split('.').map(BigInt);
  const bytes: number[] = [];
  for (const arc of [first * 40n + second, ...rest]) {
    const septets = [Number(arc & 0x7fn)];
    for (let high = arc >> 7n; high > 0n; high >>= 7n) septets.unshift(Number(high & 0x7fn) | 0x80);
    bytes.push(...septets);
  }
  return element(TAG.oid, Uint8Array.from(bytes));
}

/** Time of a certificate, to the second: UTCTime until 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). */
export function time(instant: Date): Uint8Array {
  const digits = instant.toISOString().replace(/[-:T]|\.\d+/g, '');
  const year = instant.getUTCFullYear();
  return year >= 1950 && year < 2050
    ? element(TAG.utcTime, serializeUtf8(digits.slice(2)))
    : element(TAG.generalizedTime, serializeUtf8(digits));
}

/** GeneralizedTime to the second (RFC 3161 §2.4.2). */
export const generalizedTime = (instant: Date): Uint8Array =>
  element(TAG.generalizedTime, serializeUtf8(instant.toISOString().replace(/[-:T]|\.\d+/g, '')));

/** `[n] EXPLICIT`. */
export const explicit = (n: number, inner: Uint8Array): Uint8Array => element(contextTag(n), inner);
