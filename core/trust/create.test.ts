import { describe, expect, test } from 'bun:test';
import { generateKey } from '../crypto/private-key.ts';
import { keyFingerprint } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { logKeyHash } from '../merkle/note.ts';
import { issue, issueAuthority, leafExtensions } from '../x509/testing.ts';
import { type CreatedTrust, createTrust, type NewLog, type NewTrust } from './create.ts';
import { PUBLIC_GOOD } from './public-good.ts';
import { publicationOf } from './publication.ts';
import { parseSigningConfig, serializeSigningConfig } from './signing-config.ts';
import { parseTrustedRoot, serializeTrustedRoot } from './trusted-root.ts';

const START = new Date('2026-01-01T00:00:00Z');
const common = { validFor: { start: START, end: undefined }, operator: 'lab.test' };
const URL_BASE = 'https://lab.test';

const root = issueAuthority('root');
const issuing = issueAuthority('issuing', root);
const stamping = issue({ name: 'tsa', issuer: root, extensions: leafExtensions(root, 'timeStamping') });
const caChain = [issuing.certificate, root.certificate];
const tsaChain = [stamping.certificate, root.certificate];
const [v1Key, v2Key, ctKey] = [generateKey('p256'), generateKey('ed25519'), generateKey('p256')];

const v1: NewLog = { ...common, url: URL_BASE, publicKey: v1Key.publicKey, rekorV2Origin: undefined };
const v2: NewLog = { ...common, url: URL_BASE, publicKey: v2Key.publicKey, rekorV2Origin: 'lab.test' };
const parts: NewTrust = {
  certificateAuthorities: [{ ...common, url: URL_BASE, chain: caChain }],
  timestampAuthorities: [{ ...common, url: `${URL_BASE}/api/v1/timestamp`, chain: tsaChain }],
  logs: [v1, v2],
  ctLogs: [{ ...common, url: URL_BASE, publicKey: ctKey.publicKey }],
  oidcProviders: [{ ...common, url: `${URL_BASE}/oidc` }],
  rekorTlogConfig: undefined,
  tsaConfig: undefined,
  base: undefined,
};
const rekorVersions = (config: CreatedTrust['signingConfig'] | undefined): number[] | undefined =>
  config?.rekorTlogUrls.map(({ majorApiVersion }) => majorApiVersion);

const ALWAYS = { baseUrl: URL_BASE, since: undefined, until: undefined };

test('the parts of a stack make the files that it publishes itself', () => {
  const published = publicationOf({
    publicUrl: URL_BASE,
    validFrom: START,
    caChain,
    tsaChain,
    ctLog: { publicKey: ctKey.publicKey, logId: keyFingerprint(ctKey.publicKey) },
    rekorV1: [{ publicKey: v1Key.publicKey, logId: keyFingerprint(v1Key.publicKey), ...ALWAYS }],
    rekorV2: [{ publicKey: v2Key.publicKey, logId: logKeyHash('lab.test', v2Key.publicKey), ...ALWAYS }],
    issuer: `${URL_BASE}/oidc`,
  });
  const text = (path: string): string => new TextDecoder().decode(published.documents.get(path)?.bytes);
  const created = createTrust(parts);
  expect(serializeTrustedRoot(created.trustedRoot)).toBe(text('/trusted_root.json'));
  expect(serializeSigningConfig(created.signingConfig)).toBe(text('/signing_config.v0.2.json'));
  expect(created.signingConfigRekorV2 && serializeSigningConfig(created.signingConfigRekorV2)).toBe(
    text('/signing_config_rekor_v2.v0.2.json'),
  );
});

describe('signing configs', () => {
  test('no file lists both Rekor versions', () => {
    const { signingConfig, signingConfigRekorV2 } = createTrust(parts);
    expect([rekorVersions(signingConfig), rekorVersions(signingConfigRekorV2)]).toEqual([[1], [2]]);
  });
  test.each([
    [v1, [1]],
    [v2, [2]],
  ])('one version alone: one file', (log, versions) => {
    const { signingConfig, signingConfigRekorV2 } = createTrust({ ...parts, logs: [log] });
    expect([rekorVersions(signingConfig), signingConfigRekorV2]).toEqual([versions, undefined]);
  });
  test('selectors', () => {
    const made = createTrust({
      ...parts,
      rekorTlogConfig: { selector: 'ALL' },
      tsaConfig: { selector: 'EXACT', count: 1 },
    });
    expect(made.signingConfig.rekorTlogConfig).toEqual({ selector: 'ALL' });
    expect(made.signingConfigRekorV2?.tsaConfig).toEqual({ selector: 'EXACT', count: 1 });
  });
});

test('with a base: the new parts before its own, each version in its file', () => {
  const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
  const base = {
    trustedRoot: parseTrustedRoot(bytes(PUBLIC_GOOD.trustedRoot)),
    signingConfig: parseSigningConfig(bytes(PUBLIC_GOOD.signingConfig)),
    signingConfigRekorV2: parseSigningConfig(bytes(PUBLIC_GOOD.signingConfigRekorV2)),
  };
  const made = createTrust({ ...parts, base });
  expect(made.trustedRoot.certificateAuthorities.map(({ uri }) => uri)).toEqual([
    URL_BASE,
    ...base.trustedRoot.certificateAuthorities.map(({ uri }) => uri),
  ]);
  expect(made.signingConfig.rekorTlogUrls.map(({ url }) => url)).toEqual([URL_BASE, 'https://rekor.sigstore.dev']);
  expect(made.signingConfigRekorV2?.rekorTlogUrls).toHaveLength(base.signingConfigRekorV2.rekorTlogUrls.length + 1);
});

describe('rejections', () => {
  const rejectChain = (chain: typeof caChain): void =>
    expect(() => createTrust({ ...parts, certificateAuthorities: [{ ...common, url: URL_BASE, chain }] })).toThrow(
      InputError,
    );
  test('chain with the root first', () => rejectChain(caChain.toReversed()));
  test('chain of certificates that have nothing to do with each other', () =>
    rejectChain([issuing.certificate, issueAuthority('other').certificate]));
  test('chain with the same names and another key', () =>
    rejectChain([issuing.certificate, issueAuthority('root', undefined, { kind: 'p384' }).certificate]));
  test('chain over a certificate that is no authority', () => rejectChain([root.certificate, stamping.certificate]));
});
