import type { Bundle, TransparencyLogEntry } from '../bundle/bundle.ts';
import type { HashName } from '../crypto/hash.ts';
import { type PrivateKey, sign, streamSigner } from '../crypto/private-key.ts';
import { type Envelope, preAuthEncoding } from '../dsse/envelope.ts';
import type { Http } from '../http/client.ts';
import type { LogInstance, TrustedRoot } from '../trust/trusted-root.ts';
import type { Artifact } from '../verify/artifact.ts';
import type { VerifiedBundle } from '../verify/verify.ts';
import { assembleBundle, verifyOwnBundle } from './own-bundle.ts';
import { submitToRekorV1 } from './rekor-v1.ts';
import { submitToRekorV2 } from './rekor-v2.ts';
import type { LogService, SigningServices } from './services.ts';
import type { Credential, Signer } from './signer.ts';
import { requireStatementAbout } from './statement.ts';
import type { Submission } from './submission.ts';
import { fetchTimestamp } from './timestamp.ts';

/** What a signature is made with, beside the signer. */
export interface SigningContext {
  readonly http: Http;
  readonly services: SigningServices;
  readonly trustedRoot: TrustedRoot;
  /** True if timestamps are to bring the authority's certificates along, for verifiers without a trusted root. */
  readonly timestampCertificates?: boolean;
}

/** A bundle that was verified after it was made, and what the verifier saw in it. */
export interface SignedBundle {
  readonly bundle: Bundle;
  readonly verified: VerifiedBundle;
}

const IN_TOTO = 'application/vnd.in-toto+json';

/** Signs bytes that arrive in chunks, in constant memory. */
export async function signArtifact(
  chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  signer: Signer,
  context: SigningContext,
): Promise<SignedBundle & { readonly digest: Uint8Array; readonly hash: HashName }> {
  // The certificate first: whoever cannot log in learns it before a large file is read.
  await signer.credential();
  const stream = streamSigner(signer.key);
  for await (const chunk of chunks) stream.update(chunk);
  const { digest, hash, signature } = stream.finish();

  // Asked for again: while a slow input was read the certificate may have come to its end, and is renewed.
  const credential = await signer.credential();
  const content = { kind: 'message', hash, digest, signature } as const;
  const signed = await complete({ content, signature, artifact: { digests: { [hash]: digest } } }, credential, context);
  return { ...signed, digest, hash };
}

/** Signs an in-toto statement in a DSSE envelope. `artifact` is the one that the statement is about. */
export async function signStatement(
  statement: Uint8Array,
  artifact: Artifact,
  signer: Signer,
  context: SigningContext,
): Promise<SignedBundle> {
  requireStatementAbout(statement, artifact);
  const credential = await signer.credential();
  const signature = signEncoding(signer.key, preAuthEncoding(IN_TOTO, statement), context.services.logs);
  const envelope: Envelope = { payloadType: IN_TOTO, payload: statement, signatures: [{ sig: signature, keyid: '' }] };
  return complete({ content: { kind: 'dsse', envelope }, signature, artifact }, credential, context);
}

// Ed25519 has two forms: Rekor v2 knows a signature by its digest and so takes Ed25519ph; every DSSE verifier, Rekor v1's
// among them, expects pure Ed25519. All logs of one signing are of one dialect.
function signEncoding(key: PrivateKey, encoding: Uint8Array, logs: readonly LogService[]): Uint8Array {
  if (key.publicKey.kind !== 'ed25519' || logs[0]?.version !== 2) return sign(key, encoding);
  const stream = streamSigner(key);
  stream.update(encoding);
  return stream.finish().signature;
}

interface Signature {
  readonly content: Submission['content'];
  readonly signature: Uint8Array;
  readonly artifact: Artifact;
}

// The rest is the same for every content: time and log vouch for the signature, and the bundle is verified.
async function complete(signed: Signature, credential: Credential, context: SigningContext): Promise<SignedBundle> {
  const { http, services, trustedRoot } = context;
  const { certificate, key } = credential;
  const submission: Submission = {
    content: signed.content,
    verifier:
      certificate === undefined ? { kind: 'publicKey', key: key.publicKey } : { kind: 'certificate', certificate },
  };

  // Timestamps and log entries are about the signature alone, so they are fetched side by side.
  const [timestamps, tlogEntries] = await Promise.all([
    Promise.all(
      services.timestampAuthorities.map((url) =>
        fetchTimestamp(http, url, signed.signature, trustedRoot.timestampAuthorities, context.timestampCertificates),
      ),
    ),
    Promise.all(services.logs.map((log) => submit(http, log, submission, trustedRoot.tlogs))),
  ]);

  const bundle = assembleBundle(signed.content, credential, timestamps, tlogEntries);
  return { bundle, verified: verifyOwnBundle(bundle, signed.artifact, credential, context) };
}

function submit(
  http: Http,
  log: LogService,
  submission: Submission,
  known: readonly LogInstance[],
): Promise<TransparencyLogEntry> {
  return log.version === 1
    ? submitToRekorV1(http, log.url, submission)
    : submitToRekorV2(http, log.url, submission, known);
}
