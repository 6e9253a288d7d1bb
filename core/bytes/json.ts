import { InputError } from '../errors.ts';
import { MAX_JSON_DEPTH, MAX_JSON_MEMBERS } from '../limits.ts';
import { parseUtf8 } from './bytes.ts';

/** A JSON value as `JSON.parse` makes it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** What is longer is counted before it is decoded, which takes up to three times its size. */
const LARGE_BYTES = 1024 * 1024;

/**
 * Parses JSON strictly: valid UTF-8, no byte order mark, no duplicate key in any object (after unescaping), no number that
 * overflows, at most MAX_JSON_DEPTH levels and `maxMembers` members and elements. Duplicates are refused because parsers disagree on which one
 * counts (RFC 8259 §4).
 */
export function parseJson(input: Uint8Array | string, maxMembers = MAX_JSON_MEMBERS): Json {
  if (typeof input !== 'string' && input.length > LARGE_BYTES) requireFewMembers(input, maxMembers);
  const text = typeof input === 'string' ? input : parseUtf8(input);
  scan(text, maxMembers);
  try {
    return JSON.parse(text) as Json;
  } catch (cause) {
    throw new InputError('JSON_INVALID', 'not valid JSON', { cause });
  }
}

// Walks the tokens once, for what JSON.parse does not refuse. Grammar is left to JSON.parse.
function scan(text: string, maxMembers: number): void {
  const keys: (Set<string> | undefined)[] = []; // per open container; undefined for arrays
  let expectKey = false;
  let members = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: {
        const end = endOfString(text, at);
        if (expectKey) {
          const raw = text.slice(at + 1, end);
          const key = raw.includes('\\') ? unescapeKey(raw) : raw;
          const seen = keys[keys.length - 1];
          if (seen?.has(key))
            throw new InputError('JSON_DUPLICATE_KEY', `duplicate key ${JSON.stringify(key.slice(0, 80))}`);
          seen?.add(key);
          expectKey = false;
        }
        at = end;
        break;
      }
      case 0x7b:
      case 0x5b: {
        if (keys.length >= MAX_JSON_DEPTH)
          throw new InputError('JSON_TOO_DEEP', `JSON nested deeper than ${MAX_JSON_DEPTH}`);
        const isObject = text.charCodeAt(at) === 0x7b;
        keys.push(isObject ? new Set() : undefined);
        expectKey = isObject;
        break;
      }
      case 0x7d:
      case 0x5d:
        keys.pop();
        expectKey = false;
        break;
      case 0x2c:
        if (++members >= maxMembers) throw tooManyMembers(maxMembers);
        expectKey = keys[keys.length - 1] !== undefined;
        break;
      default:
        if (isDigit(text.charCodeAt(at))) at = endOfNumber(text, at) - 1;
    }
  }
}

const tooManyMembers = (maxMembers: number): InputError =>
  new InputError('INPUT_TOO_LARGE', `JSON with more than ${maxMembers} members and elements`);

/**
 * INPUT_TOO_LARGE if JSON, or the beginning of one, has more than `maxMembers` members and elements, by the commas between its
 * strings. Nothing is decoded.
 */
export function requireFewMembers(bytes: Uint8Array, maxMembers: number): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let members = 0;
  for (let at = 0; at < buffer.length; at++) {
    const byte = buffer[at];
    if (byte === 0x2c && ++members >= maxMembers) throw tooManyMembers(maxMembers);
    if (byte !== 0x22) continue;
    do {
      at = buffer.indexOf(0x22, at + 1);
      // Unterminated: for `scan` to tell.
      if (at < 0) return;
    } while (isEscaped(buffer, at));
  }
}

function isEscaped(buffer: Buffer, quote: number): boolean {
  let slashes = 0;
  while (buffer[quote - 1 - slashes] === 0x5c) slashes++;
  return slashes % 2 === 1;
}

const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
/** A number without exponent and with fewer characters is finite. */
const SHORT_NUMBER = 300;

// Refuses what JSON.parse reads as infinite, which is no JSON value and is written as null.
function endOfNumber(text: string, start: number): number {
  let end = start + 1;
  let code = text.charCodeAt(end);
  let isPlain = true;
  // Digits, and what an exponent has: e E + - and the point.
  while (isDigit(code) || code === 0x2e || (code | 0x20) === 0x65 || code === 0x2b || code === 0x2d) {
    if ((code | 0x20) === 0x65) isPlain = false;
    code = text.charCodeAt(++end);
  }
  if (isPlain && end - start < SHORT_NUMBER) return end;
  if (!Number.isFinite(Number(text.slice(start, end)))) {
    throw new InputError('JSON_INVALID', 'not valid JSON: a number that is too large');
  }
  return end;
}

function endOfString(text: string, start: number): number {
  for (let from = start + 1; ; ) {
    const quote = text.indexOf('"', from);
    if (quote < 0) throw new InputError('JSON_INVALID', 'not valid JSON: unterminated string');
    let slashes = 0;
    while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

function unescapeKey(raw: string): string {
  try {
    return JSON.parse(`"${raw}"`) as string;
  } catch (cause) {
    throw new InputError('JSON_INVALID', 'not valid JSON: bad escape in a key', { cause });
  }
}

/** RFC 8785 (JCS): members sorted by UTF-16 code units, no white space, ECMAScript numbers and strings. */
export function canonicalizeJson(value: Json): string {
  // What is in order already, as most of what is written here, JSON.stringify writes the same way in a fifth of the time.
  return isInOrder(value) ? JSON.stringify(value) : sortedJson(value);
}

// JSON.stringify writes members in the order of Object.keys.
function isInOrder(value: Json): boolean {
  if (value === null || typeof value !== 'object') return typeof value !== 'number' || Number.isFinite(value);
  if (Array.isArray(value)) return value.every(isInOrder);
  let last: string | undefined;
  for (const key of Object.keys(value)) {
    if ((last !== undefined && last > key) || !isInOrder(value[key] as Json)) return false;
    last = key;
  }
  return true;
}

function sortedJson(value: Json): string {
  if (value === null || typeof value !== 'object') {
    if (typeof value === 'number' && !Number.isFinite(value)) throw new InputError('JSON_INVALID', 'not a JSON number');
    return JSON.stringify(value);
  }
  let text = '';
  if (Array.isArray(value)) {
    for (const item of value) text += `${text === '' ? '' : ','}${sortedJson(item)}`;
    return `[${text}]`;
  }
  // The default sort order of strings is by UTF-16 code units, as RFC 8785 §3.2.3 wants.
  for (const key of Object.keys(value).sort()) {
    text += `${text === '' ? '' : ','}${JSON.stringify(key)}:${sortedJson(value[key] as Json)}`;
  }
  return `{${text}}`;
}
