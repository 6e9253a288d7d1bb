import type { TransparencyLogEntry } from '../core/bundle/bundle.ts';
import { serializeUtf8 } from '../core/bytes/bytes.ts';
import { sign } from '../core/crypto/private-key.ts';
import { IdentityError } from '../core/errors.ts';
import { type SigningContext, signArtifact } from '../core/sign/sign.ts';
import type { Signer } from '../core/sign/signer.ts';
import { fetchTimestamp } from '../core/sign/timestamp.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import { parseCertificate } from '../core/x509/certificate.ts';
import { subjectAlternativeNames } from '../core/x509/names.ts';
import type { SignGitPayload } from './git-signer.ts';
import { payloadKind } from './object.ts';
import { loggedObjectId } from './object-id.ts';
import { isMaker, makerOf } from './person.ts';
import { parseCmsSignature, serializeArmor, serializeCmsSignature, serializeSignedAttributes } from './signature.ts';
import { verifyGitSignature } from './verify.ts';

/**
 * Signs what git is about to write: logs in if need be, signs, logs, verifies what it made. A push certificate, which is no
 * object that could be looked up, carries its entry in either mode. Errors of core/sign; IDENTITY_TOKEN_INVALID if somebody else
 * made it, where that matters.
 */
export const signGitPayload: SignGitPayload = async (payload, { rekorMode, matchCommitter }, signer, context) => {
  // Whoever cannot log in learns it before anything else.
  const { key, certificate } = await signer.credential();
  // Before anything is logged, by whoever holds the key: the payload and the certificate say it, nobody else.
  if (matchCommitter) requireMaker(payload, required(certificate));
  const signedAttributes = serializeSignedAttributes(payload, key.publicKey, context.http.clock());
  const isLookedUp = rekorMode === 'online' && payloadKind(payload) !== undefined;
  const { cms, entry } = isLookedUp
    ? await signOnline(payload, signedAttributes, signer, context)
    : await signOffline(signedAttributes, signer, context);

  const verified = verifyGitSignature(payload, armorOf(cms), parseCmsSignature(cms), {
    trustedRootFor: () => context.trustedRoot,
    now: context.http.clock(),
    found: entry,
  });
  return {
    cms,
    certificate: verified.certificate.der,
    identity: verified.subjectAlternativeName,
    issuer: verified.issuer,
    logEntries: verified.logEntries.map(({ log, logIndex }) => ({ url: log.baseUrl, logIndex })),
  };
};

function requireMaker(payload: Uint8Array, certificate: Certificate): void {
  const maker = makerOf(payload);
  const identity = subjectAlternativeNames(certificate)[0]?.value ?? '';
  if (isMaker(maker, identity)) return;
  throw new IdentityError(
    'IDENTITY_TOKEN_INVALID',
    `signed in as ${identity}, but the committer is ${maker === undefined ? 'unknown' : `${maker.name} <${maker.email}>`}`,
    { hint: 'log in as the committer, or turn it off: git config --global hallmark.matchCommitter false' },
  );
}

interface MadeSignature {
  readonly cms: Uint8Array;
  /** That of online mode, which the signature does not hold. */
  readonly entry: TransparencyLogEntry | undefined;
}

const armorOf = (cms: Uint8Array): Uint8Array => serializeUtf8(serializeArmor('SIGNED MESSAGE', cms));

// The entry is about the signed attributes and has the very signature that git stores; it becomes part of that.
async function signOffline(
  signedAttributes: Uint8Array,
  signer: Signer,
  context: SigningContext,
): Promise<MadeSignature> {
  const { bundle } = await signArtifact([signedAttributes], signer, context);
  const { material, content, tlogEntries, timestamps } = bundle;
  if (material.kind !== 'certificates' || content.kind !== 'message')
    throw new Error('internal: another kind of bundle');
  const cms = serializeCmsSignature({
    certificate: parseCertificate(material.certificates[0] as Uint8Array),
    signedAttributes,
    signature: content.signature,
    entry: tlogEntries[0],
    timestampResponse: timestamps[0],
  });
  return { cms, entry: undefined };
}

// The entry is about the ID of the object that this signature completes, and has a signature of its own.
async function signOnline(
  payload: Uint8Array,
  signedAttributes: Uint8Array,
  signer: Signer,
  context: SigningContext,
): Promise<MadeSignature> {
  const { key, certificate } = await signer.credential();
  const signature = sign(key, signedAttributes);
  const cms = serializeCmsSignature({
    certificate: required(certificate),
    signedAttributes,
    signature,
    timestampResponse: await timestampOf(signature, context),
  });
  const id = loggedObjectId(payload, armorOf(cms));
  if (id === undefined) throw new Error('internal: nothing to look up');
  // The certificate that the signature holds, even if it is about to end: the log is asked by it.
  const same: Signer = { key, credential: async () => ({ key, certificate }) };
  const services = { ...context.services, timestampAuthorities: [] };
  const { bundle } = await signArtifact([serializeUtf8(id)], same, { ...context, services });
  return { cms, entry: bundle.tlogEntries[0] };
}

async function timestampOf(signature: Uint8Array, context: SigningContext): Promise<Uint8Array | undefined> {
  const { http, services, trustedRoot } = context;
  const [url] = services.timestampAuthorities;
  if (url === undefined) return undefined;
  return fetchTimestamp(http, url, signature, trustedRoot.timestampAuthorities, true);
}

function required(certificate: Certificate | undefined): Certificate {
  if (certificate === undefined) throw new Error('internal: a git signature needs a certificate');
  return certificate;
}
