import { InputError } from '../errors.ts';

/** Joins byte strings into a new one. */
export function concat(...parts: readonly Uint8Array[]): Uint8Array {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** True if both hold the same bytes. Not constant-time: for public values only. */
export function equal(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Standard base64 with padding (RFC 4648 §4). The decoders of JavaScript skip what they do not know, so the text is written again and compared. */
export function parseBase64(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.toString('base64') !== text) throw new InputError('ENCODING_INVALID', 'not canonical base64');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function serializeBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** URL-safe base64 without padding (RFC 4648 §5, RFC 7515 §2). */
export function parseBase64Url(text: string): Uint8Array {
  const bytes = Buffer.from(text, 'base64url');
  if (bytes.toString('base64url') !== text) throw new InputError('ENCODING_INVALID', 'not canonical base64url');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function serializeBase64Url(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64url');
}

/** Lower-case hexadecimal, an even number of digits. */
export function parseHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new InputError('ENCODING_INVALID', 'not lower-case hexadecimal');
  const bytes = Buffer.from(text, 'hex');
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

export function serializeHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex');
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** UTF-8; invalid sequences are an InputError, never U+FFFD. */
export function parseUtf8(bytes: Uint8Array): string {
  try {
    return strictUtf8.decode(bytes);
  } catch (cause) {
    throw new InputError('ENCODING_INVALID', 'not valid UTF-8', { cause });
  }
}

export function serializeUtf8(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A decimal number as logs write it: no sign, no leading zero, at most `max`. */
export function parseDecimal(text: string, max: bigint): bigint {
  if (!/^(?:0|[1-9][0-9]{0,18})$/.test(text)) throw new InputError('ENCODING_INVALID', 'not a decimal number');
  const value = BigInt(text);
  if (value > max) throw new InputError('ENCODING_INVALID', `number above ${max}`);
  return value;
}
