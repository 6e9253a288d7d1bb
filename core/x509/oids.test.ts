import { describe, expect, test } from 'bun:test';
import { DerReader, integer, oid } from '../asn1/der.ts';
import { errorOf } from '../testing.ts';
import { OID, readOid, serializeOid } from './oids.ts';

test('no identifier has two names', () => {
  expect(new Set(Object.values(OID)).size).toBe(Object.values(OID).length);
});

describe('remembered identifiers are the decoded ones', () => {
  test('at the first look and at the second', () => {
    for (const dotted of [...Object.values(OID), '2.999.3', '1.2.3', '0.39', '1.2.3']) {
      expect(readOid(new DerReader(oid(dotted)))).toBe(dotted);
      expect(readOid(new DerReader(oid(dotted)))).toBe(dotted);
      expect(serializeOid(dotted)).toEqual(oid(dotted));
      expect(serializeOid(dotted)).toEqual(oid(dotted));
    }
  });

  test('and beyond what is remembered', () => {
    for (let i = 0; i < 600; i++) {
      expect(readOid(new DerReader(serializeOid(`1.2.840.${i}`)))).toBe(`1.2.840.${i}`);
    }
  });
});

test('refused: what is no identifier', () => {
  expect(errorOf(() => readOid(new DerReader(integer(1)))).code).toBe('DER_INVALID');
  expect(errorOf(() => readOid(new DerReader(Uint8Array.of(6, 2, 0x80, 1)))).code).toBe('DER_INVALID');
  expect(errorOf(() => readOid(new DerReader(Uint8Array.of(6, 2, 0x80, 1)))).code).toBe('DER_INVALID');
});
