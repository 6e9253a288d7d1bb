import { describe, expect, test } from 'bun:test';
import { parseHex, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { InputError } from '../errors.ts';
import { MAX_DER_DEPTH } from '../limits.ts';
import * as der from './der.ts';

const { DerReader, TAG } = der;
const reader = (hex: string): der.DerReader => new DerReader(parseHex(hex));

describe('lengths', () => {
  test('round trip at every border', () => {
    for (const length of [0, 1, 127, 128, 255, 256, 65_535, 65_536]) {
      const content = new Uint8Array(length).fill(7);
      expect(new DerReader(der.octetString(content)).octetString()).toEqual(content);
    }
  });
  for (const [flaw, hex] of [
    ['an indefinite length', '30800000'],
    ['a long form that the short form could hold', '04810141'],
    ['a long form with a leading zero', '0482000141'],
    ['a length of five bytes', '04850000000001'],
    ['a length beyond the end', '0402ff'],
    ['a truncated length', '0482'],
    ['a multi-byte tag', '1f810100'],
    ['no element', ''],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => reader(hex).element()).toThrow(InputError));
  }
});

describe('integers', () => {
  test('round trip', () => {
    for (const value of [0n, 1n, 127n, 128n, 255n, 256n, 2n ** 63n, 2n ** 160n - 1n])
      expect(new DerReader(der.integer(value)).integer()).toBe(value);
  });
  test('from bytes with leading zeros', () =>
    expect(serializeHex(der.integerFromBytes(parseHex('000080')))).toBe('02020080'));
  for (const [flaw, hex] of [
    ['a leading zero', '02020001'],
    ['a leading 0xff', '0202ff80'],
    ['no content', '0200'],
    ['a negative value', '0201ff'],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => reader(hex).integer()).toThrow(InputError));
  }
  test('refuses more bytes than allowed', () =>
    expect(() => reader('02050100000000').smallInteger()).toThrow(InputError));
});

describe('object identifiers', () => {
  test('round trip', () => {
    for (const oid of [
      '1.2.840.113549.1.7.2',
      '2.5.29.15',
      '0.9.2342',
      '2.999.3',
      '1.3.6.1.4.1.57264.1.24',
      '2.25.340282366920938463463374607431768211455',
    ])
      expect(new DerReader(der.oid(oid)).oid()).toBe(oid);
  });
  for (const [flaw, hex] of [
    ['no content', '0600'],
    ['an arc that is not minimal', '06032a8001'],
    ['a truncated arc', '06022a86'],
    ['an arc above 128 bits', `06142a${'ff'.repeat(18)}7f`],
    ['too many arcs', `0628${'01'.repeat(40)}`],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => reader(hex).oid()).toThrow(InputError));
  }
});

describe('bits and booleans', () => {
  test('named bits round trip', () => {
    for (const bits of [[], [0], [5, 6], [0, 8], [7]])
      expect([...new DerReader(der.namedBits(...bits)).namedBits()]).toEqual(bits);
  });
  for (const [flaw, read] of [
    ['unused bits in whole bytes', () => reader('03020741').bitString()],
    ['named bits with a trailing zero', () => reader('03020080').namedBits()],
    ['padding bits that are not zero', () => reader('03020781').namedBits()],
    ['more named bits than any list names', () => new DerReader(der.namedBits(480_000)).namedBits()],
    ['a boolean of 0x01', () => reader('010101').boolean()],
    ['an encoded default', () => reader('010100').optionalTrue()],
    ['NULL with content', () => reader('050100').null()],
    ['data after the last element', () => reader('050000').end()],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(read).toThrow(InputError));
  }
});

describe('times', () => {
  const read = (tag: number, text: string): Date => new DerReader(der.element(tag, serializeUtf8(text))).time();
  test('UTCTime turns the century at 50', () => {
    expect(read(TAG.utcTime, '491231235959Z').toISOString()).toBe('2049-12-31T23:59:59.000Z');
    expect(read(TAG.utcTime, '500101000000Z').toISOString()).toBe('1950-01-01T00:00:00.000Z');
  });
  test('GeneralizedTime with a fraction', () =>
    expect(read(TAG.generalizedTime, '20240229120000.5Z').toISOString()).toBe('2024-02-29T12:00:00.500Z'));
  test('writer chooses the form by the year', () => {
    for (const iso of ['2049-12-31T23:59:59.000Z', '2050-01-01T00:00:00.000Z'])
      expect(new DerReader(der.time(new Date(iso))).time().toISOString()).toBe(iso);
  });
  for (const [flaw, tag, text] of [
    ['a day that does not exist', TAG.utcTime, '230230000000Z'],
    ['no seconds', TAG.utcTime, '2302200000Z'],
    ['an offset', TAG.utcTime, '230220000000+0100'],
    ['a fraction with a trailing zero', TAG.generalizedTime, '20240229120000.50Z'],
    ['a leap second', TAG.generalizedTime, '20161231235960Z'],
    ['a time of a megabyte', TAG.utcTime, '1'.repeat(1_000_000)],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(() => read(tag, text)).toThrow(InputError));
  }
});

test('SET OF is sorted', () =>
  expect(serializeHex(der.setOf(parseHex('0201ff'), parseHex('020101')))).toBe('31060201010201ff'));

test('refuses nesting without end', () => {
  let nested = der.nullValue();
  for (let i = 0; i <= MAX_DER_DEPTH + 1; i++) nested = der.sequence(nested);
  expect(() => {
    for (let inner = new DerReader(nested); ; ) inner = inner.sequence();
  }).toThrow('nested deeper');
});
