import { describe, expect, test } from 'bun:test';
import { DerReader, integer, oid } from '../asn1/der.ts';
import { errorOf } from '../testing.ts';
import { OID, serializeOid } from './oids.ts';

test('no identifier has two names', () => {
  expect(new Set(Object.values(OID)).size).toBe(Object.values(OID).length);
});

describe('remembered identifiers are the decoded ones', () => {
  test('at the first look and at the second', () => {
    for (const dotted of [...Object.values(OID), '2.999.3', '1.2.3', '0.39', '1.2.3']) {
      expect(new DerReader(oid(dotted)).oid()).toBe(dotted);
      expect(new DerReader(oid(dotted)).oid()).toBe(dotted);
      expect(serializeOid(dotted)).toEqual(oid(dotted));
      expect(serializeOid(dotted)).toEqual(oid(dotted));
    }
  });

  test('where two share a hash', () => {
    for (const dotted of ['1.2.3', '1.1.34', '1.2.3', '1.1.34']) expect(new DerReader(oid(dotted)).oid()).toBe(dotted);
  });

  test('and beyond what is remembered', () => {
    for (let i = 0; i < 600; i++) {
      expect(new DerReader(serializeOid(`1.2.840.${i}`)).oid()).toBe(`1.2.840.${i}`);
    }
  });
});

test('refused: what is no identifier', () => {
  expect(errorOf(() => new DerReader(integer(1)).oid()).code).toBe('DER_INVALID');
  expect(errorOf(() => new DerReader(Uint8Array.of(6, 2, 0x80, 1)).oid()).code).toBe('DER_INVALID');
  expect(errorOf(() => new DerReader(Uint8Array.of(6, 2, 0x80, 1)).oid()).code).toBe('DER_INVALID');
});
