// The bundles that are changed: of every version, kind of content, dialect and kind of signer, by other implementations and
// by our own stack.
import { type Bundle, parseBundle, serializeBundle } from '../../core/bundle/bundle.ts';
import { serializeUtf8 } from '../../core/bytes/bytes.ts';
import { type Json, parseJson } from '../../core/bytes/json.ts';
import { InputError, VerificationError } from '../../core/errors.ts';
import { SAMPLES } from '../../core/verify/testing-cases.ts';
import { digestOnly, NOW, publicSamples, sampleNamed } from '../../core/verify/testing-corpus.ts';
import { type VerifyOptions, verifyBundle } from '../../core/verify/verify.ts';
import type { OwnBundle } from './own-stack.ts';

export interface Subject {
  readonly name: string;
  readonly version: Bundle['version'];
  readonly dialect: 1 | 2;
  readonly kind: 'message' | 'dsse';
  readonly signer: 'certificate' | 'key';
  /** The bundle as JSON value, as it is accepted. */
  readonly json: JsonObject;
  readonly options: VerifyOptions;
}

export type JsonObject = { [key: string]: Json };

const CORPUS = [
  'happy-path-v0.1',
  'happy-path-v0.2',
  'happy-path-v0.3',
  'rekor2-happy-path',
  'rekor2-dsse-happy-path',
  'rekor2-timestamp-with-embedded-cert',
  'managed-key-happy-path',
  'intoto-with-custom-trust-root',
  'js/bundleV01-full-cert-chain.sigstore',
  'js/bundleV01-dsse-with-proof.sigstore',
  'js/bundleV01-intoto-with-proof.sigstore',
  'js/bundleV02-dsse.sigstore',
  'js/bundleV02-intoto.sigstore',
  'js/bundleV03-dsse.sigstore',
  'js/bundleV03-intoto.sigstore',
];

/** Bundles of other implementations; none where the test data is absent. */
export function corpusSubjects(): Subject[] {
  const samples = [...SAMPLES, ...publicSamples()];
  if (samples.length === 0) return [];
  return CORPUS.map((name) => {
    const sample = sampleNamed(samples, name);
    const options = {
      trustedRoot: sample.trustedRoot(),
      policy: sample.policy(),
      artifact: digestOnly(sample.digest),
      now: NOW,
    };
    return subject(name, parseJson(sample.bundle()) as JsonObject, options);
  });
}

/** A bundle in each version that has its dialect: the wrapping is signed by nobody. In 0.1 an entry needs a promise. */
export function inEveryVersion({ name, bundle, options, dialect }: OwnBundle): Subject[] {
  const json = parseJson(serializeBundle(bundle)) as JsonObject;
  const versions = dialect === 1 ? (['0.1', '0.2', '0.3'] as const) : (['0.2', '0.3'] as const);
  return versions.map((version) => subject(`${name}, v${version}`, inVersion(json, version), options));
}

/** The JSON of a bundle of version 0.3 in another. */
export function inVersion(json: JsonObject, version: Bundle['version']): JsonObject {
  if (version === '0.3') return json;
  const { certificate, ...material } = json['verificationMaterial'] as JsonObject;
  return {
    ...json,
    mediaType: `application/vnd.dev.sigstore.bundle+json;version=${version}`,
    verificationMaterial: {
      ...(certificate === undefined ? {} : { x509CertificateChain: { certificates: [certificate] } }),
      ...material,
    },
  };
}

function subject(name: string, json: JsonObject, options: VerifyOptions): Subject {
  const bundle = parseBundle(serializeUtf8(JSON.stringify(json)));
  verifyBundle(bundle, options);
  return {
    name,
    version: bundle.version,
    dialect: bundle.tlogEntries[0]?.kindVersion.version === '0.0.2' && !isIntoto(bundle) ? 2 : 1,
    kind: bundle.content.kind,
    signer: bundle.material.kind === 'publicKey' ? 'key' : 'certificate',
    json,
    options,
  };
}

// Version 0.0.2 of intoto is Rekor v1's.
const isIntoto = (bundle: Bundle): boolean => bundle.tlogEntries[0]?.kindVersion.kind === 'intoto';

/** 'rejected' if a bundle ends in an error of ours that says in which step and where, 'accepted', or what else was thrown. */
export function outcomeOf(text: string, options: VerifyOptions): string {
  try {
    verifyBundle(parseBundle(serializeUtf8(text)), options);
    return 'accepted';
  } catch (error) {
    if (!(error instanceof VerificationError || error instanceof InputError)) return `not typed: ${error}`;
    return error.step === undefined || error.evidence === undefined ? `does not say where: ${error.code}` : 'rejected';
  }
}
