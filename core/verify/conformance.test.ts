import { describe, expect, test } from 'bun:test';
import { parseBundle } from '../bundle/bundle.ts';
import { errorOf } from '../testing.ts';
import type { Artifact } from './artifact.ts';
import { conformanceSamples, digestOnly, NOW, publicSamples, type Sample, wholeArtifact } from './testing-corpus.ts';
import { type VerifiedBundle, verifyBundle } from './verify.ts';

const CONFORMANCE = conformanceSamples();
const PUBLIC = publicSamples();

const verify = (sample: Sample, artifact: Artifact, policy = sample.policy()): VerifiedBundle =>
  verifyBundle(parseBundle(sample.bundle()), { trustedRoot: sample.trustedRoot(), policy, artifact, now: NOW });

test.skipIf(CONFORMANCE.length === 0)('the test data beside the checkout is complete', () => {
  expect([CONFORMANCE.length, PUBLIC.length]).toEqual([43, 23]);
});

describe.if(CONFORMANCE.length > 0)('cases of the conformance suite', () => {
  describe.each(CONFORMANCE.map((sample) => [sample.name, sample] as const))('%s', (_, sample) => {
    test.each([
      ['path', wholeArtifact(sample.artifact ?? new Uint8Array())],
      ['digest', digestOnly(sample.digest)],
    ] as const)('by %s', (_form, artifact) => {
      if (sample.good) expect(verify(sample, artifact).artifact.hash).toBe('sha256');
      else expect(['input', 'verification', 'trust']).toContain(errorOf(() => verify(sample, artifact)).kind);
    });
  });
});

describe.if(PUBLIC.length > 0)('public bundles', () => {
  const good = PUBLIC.filter((sample) => sample.good);
  test.each(good.map((sample) => [sample.name, sample] as const))('%s', (_, sample) => {
    const policy = sample.policy();
    const [expected] = 'identities' in policy ? policy.identities : [];
    if (expected === undefined) throw new Error('internal: no identity');
    const artifact = digestOnly(sample.digest);
    expect(verify(sample, artifact).signer).toMatchObject({
      kind: 'certificate',
      subjectAlternativeName: expected.subjectAlternativeName.kind === 'exact' && expected.subjectAlternativeName.value,
    });
    const nobody = { kind: 'exact', value: 'someone@example.com' } as const;
    expect(
      errorOf(() => verify(sample, artifact, { identities: [{ ...expected, subjectAlternativeName: nobody }] })).code,
    ).toBe('IDENTITY_MISMATCH');
    expect(errorOf(() => verify(sample, artifact, { identities: [{ ...expected, issuer: nobody }] })).code).toBe(
      'ISSUER_MISMATCH',
    );
    expect(errorOf(() => verify(sample, artifact, { identities: [] })).code).toBe('IDENTITY_MISMATCH');
    const other = digestOnly({ hash: sample.digest.hash, digest: sample.digest.digest.map((byte) => byte ^ 1) });
    expect(errorOf(() => verify(sample, other)).kind).toBe('verification');
  });

  test.each(PUBLIC.filter((sample) => !sample.good).map((sample) => [sample.name, sample] as const))(
    'rejected: %s',
    (_, sample) => {
      expect(['input', 'verification']).toContain(errorOf(() => verify(sample, digestOnly(sample.digest))).kind);
    },
  );
});
