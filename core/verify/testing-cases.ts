import { expect } from 'bun:test';
import type { Bundle, TransparencyLogEntry } from '../bundle/bundle.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { preAuthEncoding } from '../dsse/envelope.ts';
import { VerificationError, type VerificationErrorCode } from '../errors.ts';
import type { TrustedRoot } from '../trust/trusted-root.ts';
import { conformanceSamples, NOW, parsedBundle, sampleNamed, wholeArtifact } from './testing-corpus.ts';
import { type VerifiedBundle, type VerifyOptions, verifyBundle } from './verify.ts';

/*
 * Test only: a bundle and what it is verified with, each part of which a test can change.
 */

export interface Case {
  readonly bundle: Bundle;
  readonly options: VerifyOptions;
}

export const SAMPLES = conformanceSamples();

/** A case of the conformance suite. */
export function caseOf(name: string): Case {
  const sample = sampleNamed(SAMPLES, name);
  return {
    bundle: parsedBundle(sample),
    options: {
      trustedRoot: sample.trustedRoot(),
      policy: sample.policy(),
      artifact: wholeArtifact(sample.artifact ?? new Uint8Array()),
      now: NOW,
    },
  };
}

const NOBODY: TrustedRoot = { tlogs: [], certificateAuthorities: [], ctlogs: [], timestampAuthorities: [] };

/** A signature by this key and nothing else: no log, no time, nobody to trust. */
export function keySigned(key: PrivateKey, artifact: Uint8Array, signature = sign(key, artifact)): Case {
  return keyCase(key, artifact, { kind: 'message', signature });
}

/** An envelope with this payload, signed by this key and nothing else. */
export function keyAttested(key: PrivateKey, artifact: Uint8Array, payloadType: string, payload: Uint8Array): Case {
  const sig = sign(key, preAuthEncoding(payloadType, payload));
  return keyCase(key, artifact, {
    kind: 'dsse',
    envelope: { payloadType, payload, signatures: [{ sig, keyid: '' }] },
  });
}

function keyCase(key: PrivateKey, artifact: Uint8Array, content: Bundle['content']): Case {
  return {
    bundle: {
      mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
      version: '0.3',
      material: { kind: 'publicKey', hint: '' },
      tlogEntries: [],
      timestamps: [],
      content,
    },
    options: { trustedRoot: NOBODY, policy: { key: key.publicKey }, artifact: wholeArtifact(artifact), now: NOW },
  };
}

export const verify = ({ bundle, options }: Case): VerifiedBundle => verifyBundle(bundle, options);
export const withBundle = ({ bundle, options }: Case, change: Partial<Bundle>): Case => ({
  bundle: { ...bundle, ...change },
  options,
});
export const withOptions = ({ bundle, options }: Case, change: Partial<VerifyOptions>): Case => ({
  bundle,
  options: { ...options, ...change },
});
export const withRoot = (the: Case, change: Partial<TrustedRoot>): Case => {
  const { tlogs, certificateAuthorities, ctlogs, timestampAuthorities } = the.options.trustedRoot;
  return withOptions(the, {
    trustedRoot: { tlogs, certificateAuthorities, ctlogs, timestampAuthorities, ...change },
  });
};
export const withEntry = (the: Case, change: Partial<TransparencyLogEntry>): Case =>
  withBundle(the, { tlogEntries: the.bundle.tlogEntries.map((entry) => ({ ...entry, ...change })) });

/** Rejected for this flaw, as a verdict that says in which step and where. */
export function expectRejected(code: VerificationErrorCode, the: Case): void {
  const finding = { step: expect.any(String), evidence: expect.any(String) };
  expect(() => verify(the)).toThrow(expect.objectContaining({ code, ...finding }));
  expect(() => verify(the)).toThrow(VerificationError);
}
