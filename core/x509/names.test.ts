import { describe, expect, test } from 'bun:test';
import { contextTag, element, explicit, octetString, oid, sequence, setOf, TAG, utf8String } from '../asn1/der.ts';
import { serializeUtf8 } from '../bytes/bytes.ts';
import { errorOf } from '../testing.ts';
import { distinguishedName } from './build.ts';
import { parseCertificate } from './certificate.ts';
import { alternativeNamesExtension } from './extensions.ts';
import { type AlternativeName, commonName, organization, subjectAlternativeNames } from './names.ts';
import { OID } from './oids.ts';
import { issue, withExtensions } from './testing.ts';

const certified = (...names: AlternativeName[]): AlternativeName[] =>
  subjectAlternativeNames(issue({ extensions: [alternativeNamesExtension(...names)] }).certificate);

const { certificate } = issue({ extensions: [alternativeNamesExtension({ kind: 'dns', value: 'x' })] });
const withNames = (...names: Uint8Array[]): ReturnType<typeof parseCertificate> =>
  parseCertificate(
    withExtensions(certificate, sequence(oid(OID.subjectAlternativeName), octetString(sequence(...names)))),
  );

describe('subject alternative names', () => {
  test('of every kind, in order', () => {
    const names: AlternativeName[] = [
      { kind: 'uri', value: 'https://example.com/a?b=c' },
      { kind: 'email', value: 'a@example.com' },
      { kind: 'dns', value: 'example.com' },
      { kind: 'otherName', value: 'alice!exämple.com' },
    ];
    expect(certified(...names)).toEqual(names);
  });

  test('without the extension there are none', () => {
    expect(subjectAlternativeNames(issue({ extensions: [alternativeNamesExtension()] }).certificate)).toEqual([]);
  });

  test('addresses and the otherNames of others are left out', () => {
    const address = element(contextTag(7, false), Uint8Array.of(127, 0, 0, 1));
    const foreign = element(contextTag(0), oid('1.2.3'), explicit(0, utf8String('alice!example.com')));
    expect(subjectAlternativeNames(withNames(address, foreign))).toEqual([]);
  });

  test.each([
    ['NUL', 'a@example.com\0.evil'],
    ['line feed', 'https://a\nb'],
    ['empty', ''],
    ['not ASCII', 'a@exämple.com'],
  ])('refused: %s in a name', (_flaw, value) => {
    const name = element(contextTag(1, false), serializeUtf8(value));
    expect(errorOf(() => subjectAlternativeNames(withNames(name))).code).toBe('CERTIFICATE_INVALID');
    expect(errorOf(() => certified({ kind: 'email', value })).code).toBe('CERTIFICATE_INVALID');
  });

  test('refused: data after the username', () => {
    const value = explicit(0, sequence());
    const name = element(contextTag(0), oid(OID.fulcioUsername), value, utf8String('x'));
    expect(errorOf(() => subjectAlternativeNames(withNames(name))).code).toBe('CERTIFICATE_INVALID');
  });

  test('refused: username that is no UTF-8', () => {
    const value = explicit(0, element(TAG.utf8String, Uint8Array.of(0xff)));
    const name = element(contextTag(0), oid(OID.fulcioUsername), value);
    expect(errorOf(() => subjectAlternativeNames(withNames(name))).code).toBe('CERTIFICATE_INVALID');
  });
});

describe('distinguished names', () => {
  test('round trip', () => {
    const name = distinguishedName({ organization: 'Ørsted', commonName: 'root' });
    expect([organization(name), commonName(name)]).toEqual(['Ørsted', 'root']);
  });

  test('of neither part is an empty sequence', () => {
    expect(distinguishedName({})).toEqual(sequence());
    expect(commonName(sequence())).toBeUndefined();
  });

  test('a string of a forgotten kind is no name', () => {
    const name = sequence(setOf(sequence(oid(OID.commonName), element(0x14, serializeUtf8('x')))));
    expect(commonName(name)).toBeUndefined();
  });

  test('refused: not a name', () => {
    expect(errorOf(() => commonName(utf8String('x'))).code).toBe('CERTIFICATE_INVALID');
  });
});
