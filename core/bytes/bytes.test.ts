import { describe, expect, test } from 'bun:test';
import { InputError } from '../errors.ts';
import {
  concat,
  equal,
  parseBase64,
  parseBase64Url,
  parseDecimal,
  parseHex,
  parseUtf8,
  serializeBase64,
  serializeBase64Url,
  serializeHex,
} from './bytes.ts';

describe('base64', () => {
  test('round trip of every length', () => {
    for (let length = 0; length < 70; length++) {
      const bytes = Uint8Array.from({ length }, (_, i) => (i * 37 + length) & 0xff);
      expect(parseBase64(serializeBase64(bytes))).toEqual(bytes);
      expect(parseBase64Url(serializeBase64Url(bytes))).toEqual(bytes);
    }
  });
  for (const [flaw, text] of [
    ['junk characters', 'zz$$'],
    ['white space', 'AAAA AAAA'],
    ['a line feed', 'AAAA\n'],
    ['missing padding', 'AA'],
    ['padding bits that are not zero', 'AB=='],
    ['the URL-safe alphabet', '-_-_'],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => parseBase64(text)).toThrow(InputError));
  }
  test('base64url refuses padding', () => expect(() => parseBase64Url('AA==')).toThrow(InputError));
});

describe('hexadecimal', () => {
  test('round trip', () => expect(serializeHex(parseHex('00ff10'))).toBe('00ff10'));
  for (const text of ['0', 'FF', '0x10', 'zz', ' 00'])
    test(`refuses ${JSON.stringify(text)}`, () => expect(() => parseHex(text)).toThrow(InputError));
});

describe('decimal', () => {
  test('reads', () => expect(parseDecimal('9223372036854775807', 2n ** 63n - 1n)).toBe(2n ** 63n - 1n));
  for (const text of ['', ' 12 ', '0x10', '01', '-1', '1e3', '99999999999999999999'])
    test(`refuses ${JSON.stringify(text)}`, () => expect(() => parseDecimal(text, 2n ** 63n)).toThrow(InputError));
  test('refuses a number above the bound', () => expect(() => parseDecimal('11', 10n)).toThrow(InputError));
});

test('UTF-8 refuses an invalid sequence instead of replacing it', () => {
  expect(() => parseUtf8(Uint8Array.of(0xc3, 0x28))).toThrow(InputError);
  expect(parseUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))).toBe('\ufeffA');
});

test('concat and equal', () => {
  expect(concat(Uint8Array.of(1), Uint8Array.of(), Uint8Array.of(2, 3))).toEqual(Uint8Array.of(1, 2, 3));
  expect(equal(Uint8Array.of(1), Uint8Array.of(1, 0))).toBe(false);
});
