import { parseBase64 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';

/** What a client asks of the CA. Nothing in it has been verified. */
export interface CertificateRequest {
  readonly identityToken: string;
  readonly proof:
    | { readonly kind: 'signature'; readonly publicKey: Uint8Array /* PEM or DER */; readonly signature: Uint8Array }
    | { readonly kind: 'request'; readonly certificateRequest: Uint8Array /* PEM or DER */ };
}

/**
 * The body of `POST /api/v2/signingCert` (fulcio.proto, CreateSigningCertificateRequest) as protojson reads it: camelCase
 * or snake_case, null is absent, unknown fields are ignored. The token of the body goes before the header's.
 */
export function parseV2Request(body: Uint8Array, authorization: string | null): CertificateRequest {
  const fields = new Fields(parseJson(body), '', 'FIELD_INVALID');
  const credentials = member(fields, 'credentials');
  const bodyToken = credentials && text(credentials, 'oidcIdentityToken', 'oidc_identity_token');
  const identityToken = bodyToken || bearerToken(authorization);

  const certificateRequest = bytes(fields, 'certificateSigningRequest', 'certificate_signing_request');
  if (certificateRequest?.length) return { identityToken, proof: { kind: 'request', certificateRequest } };

  const keyRequest = member(fields, 'publicKeyRequest', 'public_key_request');
  if (!keyRequest) throw fields.fail('publicKeyRequest', 'neither a public key nor a certificate signing request');
  const publicKey = member(keyRequest, 'publicKey', 'public_key');
  return {
    identityToken,
    proof: {
      kind: 'signature',
      // `algorithm` is not read: the key says what it is.
      publicKey: Buffer.from((publicKey && text(publicKey, 'content')) ?? '', 'utf8'),
      signature: bytes(keyRequest, 'proofOfPossession', 'proof_of_possession') ?? new Uint8Array(),
    },
  };
}

/** The body of `POST /api/v1/signingCert`, as gitsign and older clients send it; the token is always in the header. */
export function parseV1Request(body: Uint8Array, authorization: string | null): CertificateRequest {
  const fields = new Fields(parseJson(body), '', 'FIELD_INVALID');
  const identityToken = bearerToken(authorization);
  const certificateRequest = bytes(fields, 'certificateSigningRequest');
  if (certificateRequest?.length) return { identityToken, proof: { kind: 'request', certificateRequest } };
  const publicKey = member(fields, 'publicKey');
  return {
    identityToken,
    proof: {
      kind: 'signature',
      publicKey: (publicKey && bytes(publicKey, 'content')) ?? new Uint8Array(),
      signature: bytes(fields, 'signedEmailAddress') ?? new Uint8Array(),
    },
  };
}

/** RFC 6750 §2.1; '' if there is none. */
function bearerToken(authorization: string | null): string {
  return /^bearer +(\S+)$/i.exec(authorization?.trim() ?? '')?.[1] ?? '';
}

function member(fields: Fields, ...names: readonly string[]): Fields | undefined {
  return fields.optionalObject(spelling(fields, names));
}

function text(fields: Fields, ...names: readonly string[]): string | undefined {
  return fields.optionalString(spelling(fields, names));
}

/** protojson reads both alphabets of base64, with or without padding. */
function bytes(fields: Fields, ...names: readonly string[]): Uint8Array | undefined {
  const name = spelling(fields, names);
  const encoded = fields.optionalString(name);
  if (encoded === undefined) return undefined;
  const standard = encoded.replace(/=+$/, '').replaceAll('-', '+').replaceAll('_', '/');
  try {
    return parseBase64(standard.padEnd(Math.ceil(standard.length / 4) * 4, '='));
  } catch (cause) {
    throw fields.fail(name, 'expected base64', cause);
  }
}

/** The one name in use; two spellings of one field contradict each other. */
function spelling(fields: Fields, names: readonly string[]): string {
  const [first = '', ...others] = names.filter((name) => fields.has(name));
  if (others.length > 0) throw fields.fail(first, `given twice, also as ${others[0]}`);
  return first || (names[0] as string);
}
