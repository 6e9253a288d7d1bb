import { parseBase64, parseHex, parseUtf8, serializeBase64 } from '../../bytes/bytes.ts';
import type { Fields } from '../../bytes/fields.ts';
import type { Json } from '../../bytes/json.ts';
import { parsePem } from '../../crypto/pem.ts';
import { keyFingerprint, parsePublicKeyPem } from '../../crypto/public-key.ts';
import { InputError } from '../../errors.ts';
import { MAX_LOG_SIZE, MAX_UNIX_SECONDS } from '../../limits.ts';
import { parseEntryBody } from '../entry.ts';
import { digestAlgorithmOf, someBytes } from '../entry-fields.ts';
import { type ConvertedBundle, embeddedBundle } from './converted.ts';

/** What cosign wrote into files of their own: the signature in base64, and the certificate or public key in PEM or base64 of it. */
export interface DetachedSignature {
  readonly signature: string;
  readonly verifier: string;
}

/**
 * The bundle of cosign 2 and earlier, `{base64Signature, cert, rekorBundle}`, or the `rekorBundle` alone with the detached
 * signature, as version 0.1: there is the log's promise but no inclusion proof. BUNDLE_INVALID, ENTRY_INVALID, PEM_INVALID.
 */
export function convertCosign(fields: Fields, detached: DetachedSignature | undefined): ConvertedBundle {
  const whole = fields.has('base64Signature');
  if (whole === (detached !== undefined)) {
    throw fields.fail('base64Signature', whole ? 'there already, and given beside the bundle' : 'missing');
  }
  const { signature, verifier } = detached ?? {
    signature: fields.string('base64Signature'),
    verifier: fields.string('cert'),
  };
  const entry = whole ? fields.object('rekorBundle') : fields;
  const { json: logEntry, messageDigest } = convertLogEntry(entry);
  fields.end();
  return embeddedBundle(
    {
      mediaType: 'application/vnd.dev.sigstore.bundle+json;version=0.1',
      verificationMaterial: { ...convertVerifier(verifier), tlogEntries: [logEntry] },
      messageSignature: { messageDigest, signature: signature.trim() },
    },
    '',
  );
}

function convertLogEntry(fields: Fields): { json: Json; messageDigest: Json } {
  const payload = fields.object('Payload');
  const promise = someBytes(fields, 'SignedEntryTimestamp');
  const canonicalizedBody = someBytes(payload, 'body');
  const logId = hexBytes(payload, 'logID');
  const logIndex = payload.bigint('logIndex', MAX_LOG_SIZE);
  const integratedTime = payload.bigint('integratedTime', MAX_UNIX_SECONDS);
  for (const part of [payload, fields]) part.end();
  const body = parseEntryBody(canonicalizedBody);
  if (body.kind !== 'hashedrekord') {
    throw new InputError('ENTRY_INVALID', `the log entry is a ${body.kind}, not the signature of a file`, {
      hint: 'sign again with a client that writes Sigstore bundles',
    });
  }
  return {
    json: {
      logIndex: String(logIndex),
      logId: { keyId: serializeBase64(logId) },
      kindVersion: { kind: body.kind, version: body.version },
      integratedTime: String(integratedTime),
      inclusionPromise: { signedEntryTimestamp: serializeBase64(promise) },
      canonicalizedBody: serializeBase64(canonicalizedBody),
    },
    messageDigest: { algorithm: digestAlgorithmOf(body.hash), digest: serializeBase64(body.digest) },
  };
}

function hexBytes(fields: Fields, key: string): Uint8Array {
  try {
    return parseHex(fields.string(key));
  } catch (cause) {
    throw fields.fail(key, 'expected lower-case hexadecimal', cause);
  }
}

// cosign writes PEM, or base64 of it unless told not to.
function convertVerifier(text: string): Record<string, Json> {
  const pem = text.trimStart().startsWith('-----') ? text : parseUtf8(parseBase64(text.trim()));
  const blocks = parsePem(pem);
  if (blocks.every(({ label }) => label === 'CERTIFICATE')) {
    // The signer's alone: what else was written beside it was for other verifiers.
    const leaf = blocks[0]?.der ?? new Uint8Array();
    return { x509CertificateChain: { certificates: [{ rawBytes: serializeBase64(leaf) }] } };
  }
  return { publicKey: { hint: serializeBase64(keyFingerprint(parsePublicKeyPem(pem))) } };
}
