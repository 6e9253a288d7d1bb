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

/** Standard base64 with padding (RFC 4648 §4), in its one spelling. */
export function parseBase64(text: string): Uint8Array {
  const bytes = decodeBase64(text, 'base64');
  if (text.length !== 4 * Math.ceil(bytes.length / 3)) throw notCanonical('base64');
  return bytes;
}

export function serializeBase64(bytes: Uint8Array): string {
  return bytes.toBase64();
}

/** URL-safe base64 without padding (RFC 4648 §5, RFC 7515 §2), in its one spelling. */
export function parseBase64Url(text: string): Uint8Array {
  const padding = '='.repeat(-text.length & 3);
  const bytes = decodeBase64(`${text}${padding}`, 'base64url');
  if (text.length !== Math.ceil((4 * bytes.length) / 3)) throw notCanonical('base64url');
  return bytes;
}

export function serializeBase64Url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: 'base64url', omitPadding: true });
}

// Refuses other characters, missing padding and bits that are cut off. White space it passes over: the length tells.
function decodeBase64(text: string, alphabet: 'base64' | 'base64url'): Uint8Array {
  try {
    return Uint8Array.fromBase64(text, { alphabet, lastChunkHandling: 'strict' });
  } catch {
    throw notCanonical(alphabet);
  }
}

const notCanonical = (what: string): InputError => new InputError('ENCODING_INVALID', `not canonical ${what}`);

/** Lower-case hexadecimal, an even number of digits. */
export function parseHex(text: string): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) throw new InputError('ENCODING_INVALID', 'not lower-case hexadecimal');
  return Uint8Array.fromHex(text);
}

export function serializeHex(bytes: Uint8Array): string {
  return bytes.toHex();
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
