// What the form of a signature, its issuers, its timestamp and the log's answer are held to; the rest is in sign.test.ts.
import { describe, expect, test } from 'bun:test';
import { DerReader, element, octetString } from '../core/asn1/der.ts';
import { parseHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { serializeSignedData } from '../core/cms/build.ts';
import type { Attribute } from '../core/cms/signed-data.ts';
import type { HallmarkError } from '../core/errors.ts';
import { signArtifact } from '../core/sign/sign.ts';
import { errorOf } from '../core/testing.ts';
import { OID } from '../core/x509/oids.ts';
import { serializeEmbeddedEntry } from './log-entry.ts';
import { loggedObjectId } from './object-id.ts';
import {
  type CmsSignature,
  parseCmsSignature,
  serializeArmor,
  serializeCmsSignature,
  timestampResponseOf,
} from './signature.ts';
import { commitPayload, gitStack } from './testing.ts';
import { verifyGitSignature } from './verify.ts';

const payload = commitPayload();
const stack = await gitStack();
const { cms } = await stack.sign(payload);
const good = parseCmsSignature(cms);

/** The good signature put together anew, with other certificates or unsigned attributes. */
const rebuilt = (changed: { certificates?: Uint8Array[]; unsignedAttributes?: Attribute[] }): Uint8Array =>
  serializeSignedData({
    contentType: OID.data,
    content: undefined,
    certificates: [good.certificate.der],
    signer: good.certificate,
    key: good.certificate.publicKey,
    signedAttributes: good.signedAttributes,
    signature: good.signature,
    unsignedAttributes: good.signer.unsignedAttributes,
    ...changed,
  });
const refusal = (der: Uint8Array): string => {
  const error = errorOf(() => parseCmsSignature(der)) as HallmarkError;
  return `${error.code}: ${error.message}`;
};
/** The element with bytes put into the innermost element of others that they follow the content of, lengths mended. */
function insertAt(der: Uint8Array, at: number, extra: Uint8Array): Uint8Array {
  const header = 2 + Math.max((der[1] as number) - 0x80, 0);
  for (let from = header; from < der.length; ) {
    const size = new DerReader(der.subarray(from)).element().encoding.length;
    const [before, child, after] = [
      der.subarray(header, from),
      der.subarray(from, from + size),
      der.subarray(from + size),
    ];
    const isInside = at > from && at <= from + size && ((child[0] as number) & 0x20) !== 0;
    if (isInside) return element(der[0] as number, before, insertAt(child, at - from, extra), after);
    from += size;
  }
  return element(der[0] as number, der.subarray(header, at), extra, der.subarray(at));
}
const verify = (signature: CmsSignature) => () =>
  verifyGitSignature(payload, serializeUtf8(serializeArmor('SIGNED MESSAGE', cms)), signature, {
    trustedRootFor: () => stack.trustedRoot,
    now: stack.clock.now,
  });

test('the signature that flaws are made of verifies', () => {
  expect(rebuilt({})).toEqual(cms);
  expect(verify(good)().subjectAlternativeName).toBe('a@b.example');
});

describe('the one form', () => {
  test('another spelling of what nobody signs: not in the form that gitsign writes', () => {
    // NULL as the parameter of the first algorithm, where gitsign writes none; most writers of CMS do.
    const end = Buffer.from(cms).indexOf(parseHex('0609608648016503040201')) + 11;
    const other = insertAt(cms, end, parseHex('0500'));
    expect(refusal(other)).toContain('not in the form that gitsign writes');
  });
  test('two log entries, of one dialect or of both', () => {
    const [first] = good.signer.unsignedAttributes as [Attribute];
    const { entry } = good;
    if (entry === undefined) throw new Error('no entry');
    const bytes = serializeEmbeddedEntry({ ...entry, kindVersion: { kind: 'hashedrekord', version: '0.0.2' } });
    const second = { oid: OID.rekorV2Entry, value: octetString(bytes) };
    expect(refusal(rebuilt({ unsignedAttributes: [first, second] }))).toContain('two log entries');
    expect(refusal(rebuilt({ unsignedAttributes: [second, first] }))).toContain('two log entries');
  });
  test('no certificate of the signer, or the same twice', () => {
    const { der } = good.certificate;
    const issuer = stack.trustedRoot.certificateAuthorities[0]?.chain[0]?.der as Uint8Array;
    for (const certificates of [[], [issuer], [der, der]]) {
      expect(refusal(rebuilt({ certificates }))).toContain('not exactly one certificate of the signer');
    }
  });
});

describe('issuers that come along', () => {
  test('are those of the trusted root', () => {
    const issuer = stack.trustedRoot.certificateAuthorities[0]?.chain[0]?.der as Uint8Array;
    const along = parseCmsSignature(rebuilt({ certificates: [issuer, good.certificate.der] }));
    expect(verify(along)().subjectAlternativeName).toBe('a@b.example');
  });
  test('of another authority are refused', async () => {
    const foreign = (await gitStack()).trustedRoot.certificateAuthorities[0]?.chain[0]?.der as Uint8Array;
    const along = parseCmsSignature(rebuilt({ certificates: [foreign, good.certificate.der] }));
    expect(errorOf(verify(along)).code).toBe('CERTIFICATE_UNTRUSTED');
  });
});

describe('a timestamp beside an entry that was found', () => {
  const { timestampAuthorities } = stack.services(2);
  const services = { ...stack.services(1), timestampAuthorities };
  const verified = async (signature: Uint8Array) => {
    const armor = serializeUtf8(serializeArmor('SIGNED MESSAGE', signature));
    const id = serializeUtf8(loggedObjectId(payload, armor) as string);
    const { bundle } = await signArtifact([id], stack.signer, stack.context);
    return () =>
      verifyGitSignature(payload, armor, parseCmsSignature(signature), {
        trustedRootFor: () => stack.trustedRoot,
        now: stack.clock.now,
        found: bundle.tlogEntries[0],
      });
  };
  test('is over the signature', async () => {
    const made = await stack.sign(payload, 'online', { services, timestampCertificates: true } as object);
    expect(parseCmsSignature(made.cms).timestampToken).toBeDefined();
    const { times } = (await verified(made.cms))();
    expect(times.map(({ source }) => source)).toContain('timestamp authority');
  });
  test('that is over another signature is refused', async () => {
    const other = await stack.sign(commitPayload('x'), 'online', { services } as object);
    const token = parseCmsSignature(other.cms).timestampToken as Uint8Array;
    const bare = parseCmsSignature((await stack.sign(payload, 'online')).cms);
    const mixed = serializeCmsSignature({ ...bare, entry: undefined, timestampResponse: timestampResponseOf(token) });
    expect(errorOf(await verified(mixed)).code).toBe('TIMESTAMP_MISMATCH');
  });
});
