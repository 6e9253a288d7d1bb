import { describe, expect, test } from 'bun:test';
import { X509Certificate } from 'node:crypto';
import { generateKey } from '../core/crypto/private-key.ts';
import { type Certificate, KEY_USAGE } from '../core/x509/certificate.ts';
import { verifyChain } from '../core/x509/chain.ts';
import { commonName, organization } from '../core/x509/names.ts';
import { OID } from '../core/x509/oids.ts';
import { loadPeculiarX509 } from '../core/x509/testing.ts';
import { createCaChain, createTsaChain, requireChainOf } from './chain.ts';
import { random } from './testing.ts';

const NOW = new Date('2026-03-01T12:00:00.750Z');
const rootKey = generateKey('p256');
const key = generateKey('p256').publicKey;
const options = { rootKey, key, organization: 'Example', now: NOW, random };

for (const [what, create] of [
  ['code signing', createCaChain],
  ['timestamp', createTsaChain],
] as const)
  describe(`${what} chain`, () => {
    const [lower, root] = create(options) as [Certificate, Certificate];

    test('starts a minute back, on a whole second, and lasts ten years', () => {
      for (const certificate of [lower, root]) {
        expect(certificate.notBefore).toEqual(new Date('2026-03-01T11:59:00Z'));
        expect(certificate.notAfter.getUTCFullYear()).toBe(2036);
      }
    });
    test('is linked by names, key identifiers and signatures, as other readers see it', async () => {
      expect(lower.authorityKeyId).toEqual(root.subjectKeyId as Uint8Array);
      const [nativeLower, nativeRoot] = [new X509Certificate(lower.der), new X509Certificate(root.der)];
      expect(nativeLower.checkIssued(nativeRoot)).toBe(true);
      expect(nativeLower.verify(nativeRoot.publicKey)).toBe(true);
      expect(nativeRoot.verify(nativeRoot.publicKey)).toBe(true);
      const { X509Certificate: Peculiar } = await loadPeculiarX509();
      const peculiarRoot = new Peculiar(new Uint8Array(root.der));
      expect(await peculiarRoot.isSelfSigned()).toBe(true);
      expect(
        await new Peculiar(new Uint8Array(lower.der)).verify({
          publicKey: peculiarRoot.publicKey,
          signatureOnly: true,
        }),
      ).toBe(true);
    });
    test('root is an authority for anything below it', () => {
      expect(root.isCa).toBe(true);
      expect(root.extendedKeyUsage).toBeUndefined();
      expect(root.keyUsage).toEqual(new Set([KEY_USAGE.keyCertSign, KEY_USAGE.crlSign]));
      expect([organization(root.subjectName), organization(lower.subjectName)]).toEqual(['Example', 'Example']);
      expect(commonName(root.subjectName)).not.toBe(commonName(lower.subjectName) as string);
    });
  });

test('the intermediate issues code signing leaves only', () => {
  const [intermediate] = createCaChain(options) as [Certificate];
  expect([intermediate.isCa, intermediate.pathLength, intermediate.extendedKeyUsage]).toEqual([
    true,
    0,
    [OID.codeSigning],
  ]);
});

test('the timestamp leaf is for nothing else, critically', () => {
  const [leaf, root] = createTsaChain(options) as [Certificate, Certificate];
  expect([leaf.isCa, leaf.extendedKeyUsage]).toEqual([false, [OID.timeStamping]]);
  expect(leaf.extensions.find(({ oid }) => oid === OID.extendedKeyUsage)?.critical).toBe(true);
  expect(verifyChain(leaf, [], [root], NOW, 'timeStamping')).toHaveLength(2);
  expect(() => verifyChain(leaf, [], [root], NOW, 'codeSigning')).toThrow();
});

test('a chain of another key is refused', () => {
  const pair = generateKey('p256');
  const chain = createCaChain({ ...options, key: pair.publicKey });
  expect(requireChainOf(pair, chain)).toBe(chain[0] as Certificate);
  expect(() => requireChainOf(rootKey, chain)).toThrow('do not belong together');
});
