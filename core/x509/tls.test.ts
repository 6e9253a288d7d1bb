import { describe, expect, test } from 'bun:test';
import { errorOf } from '../testing.ts';
import { opaque, TlsReader, uint } from './tls.ts';

test('numbers and opaque fields round trip', () => {
  const max = 2n ** 64n - 1n;
  const reader = new TlsReader(
    Uint8Array.of(...uint(1, 255), ...uint(3, 0x010203), ...uint(8, max), ...opaque(2, uint(2, 7))),
  );
  expect([reader.number(1), reader.number(3), reader.uint64(), reader.opaque(2)]).toEqual([
    255,
    0x010203,
    max,
    Uint8Array.of(0, 7),
  ]);
  expect(reader.done).toBe(true);
  reader.end();
});

describe('refused, by flaw', () => {
  test('truncated number', () => {
    expect(errorOf(() => new TlsReader(Uint8Array.of(1)).number(2)).code).toBe('CERTIFICATE_INVALID');
  });
  test('truncated opaque field', () => {
    expect(errorOf(() => new TlsReader(Uint8Array.of(0, 2, 1)).opaque(2)).code).toBe('CERTIFICATE_INVALID');
  });
  test('data after the last field', () => {
    expect(errorOf(() => new TlsReader(Uint8Array.of(1)).end()).code).toBe('CERTIFICATE_INVALID');
  });
  test('a number that does not fit is a broken invariant', () => {
    expect(() => uint(2, 65_536)).toThrow('internal:');
    expect(() => uint(2, -1)).toThrow('internal:');
  });
});
