import { parseUtf8, serializeBase64Url, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { digest } from '../../core/crypto/hash.ts';
import { jsonResponse, mediaType, readBody } from '../../core/http/front-end.ts';
import { MAX_FORM_BYTES } from '../../core/limits.ts';

/** The one client: public, so its ID is no secret. It is also the audience of every token. */
export const CLIENT_ID = 'sigstore';

/** An error answer of OAuth (RFC 6749 §4.1.2.1, §5.2; RFC 8628 §3.5). */
export class OAuthError extends Error {
  readonly error: string;
  constructor(error: string, description: string) {
    super(description);
    this.error = error;
  }
}

/** RFC 6749 §5.2: `invalid_client` is 401, everything else 400. */
export function errorResponse(problem: OAuthError): Response {
  const challenge: Record<string, string> =
    problem.error === 'invalid_client' ? { 'www-authenticate': 'Basic realm="development issuer"' } : {};
  return jsonResponse(
    problem.error === 'invalid_client' ? 401 : 400,
    { error: problem.error, error_description: problem.message },
    { ...NO_STORE, ...challenge },
  );
}

/** RFC 6749 §5.1: answers with tokens are not kept. */
export const NO_STORE = { 'cache-control': 'no-store', pragma: 'no-cache' };

/** Parameters by name. RFC 6749 §3.1: none may be given twice. */
export type Parameters = ReadonlyMap<string, string>;

export function parseParameters(search: URLSearchParams): Parameters {
  const parameters = new Map<string, string>();
  for (const [name, value] of search) {
    if (parameters.has(name)) throw new OAuthError('invalid_request', `parameter ${name} is given twice`);
    parameters.set(name, value);
  }
  return parameters;
}

/** The parameters of a form body. */
export async function readForm(request: Request): Promise<Parameters> {
  if (mediaType(request) !== 'application/x-www-form-urlencoded')
    throw new OAuthError('invalid_request', 'expected a form (application/x-www-form-urlencoded)');
  const body = await readBody(request, MAX_FORM_BYTES);
  if (!body) throw new OAuthError('invalid_request', `form of more than ${MAX_FORM_BYTES} bytes`);
  let text: string;
  try {
    text = parseUtf8(body);
  } catch {
    throw new OAuthError('invalid_request', 'form is not valid UTF-8');
  }
  return parseParameters(new URLSearchParams(text));
}

/** Requires the public client: its ID in the body, or HTTP Basic with an empty secret (RFC 6749 §2.3.1). */
export function requireClient(parameters: Parameters, authorization: string | null): void {
  const named = parameters.get('client_id');
  if (authorization !== null) {
    const [id, secret, ...more] = basicCredentials(authorization);
    if (id !== CLIENT_ID || secret !== '' || more.length > 0 || (named !== undefined && named !== id))
      throw new OAuthError('invalid_client', `the only client is ${CLIENT_ID}, with an empty secret`);
  } else if (named !== CLIENT_ID || (parameters.get('client_secret') ?? '') !== '') {
    throw new OAuthError('invalid_client', `the only client is ${CLIENT_ID}, without a secret`);
  }
}

function basicCredentials(authorization: string): string[] {
  const encoded = /^basic +([A-Za-z0-9+/=]+)$/i.exec(authorization)?.[1];
  return encoded === undefined ? [] : Buffer.from(encoded, 'base64').toString('utf8').split(':');
}

/** RFC 7636 §4.6 with S256: the verifier that belongs to the challenge. */
export function requireVerifier(challenge: string, verifier: string | undefined): void {
  if (verifier === undefined || !/^[A-Za-z0-9._~-]{43,128}$/.test(verifier))
    throw new OAuthError('invalid_grant', 'code_verifier is missing or malformed');
  if (serializeBase64Url(digest('sha256', serializeUtf8(verifier))) !== challenge)
    throw new OAuthError('invalid_grant', 'code_verifier does not belong to the code_challenge');
}

/** RFC 7636 §4.3: only S256; without a method the challenge would be the verifier itself. */
export function requireChallenge(parameters: Parameters): string {
  const challenge = parameters.get('code_challenge');
  if (challenge === undefined) throw new OAuthError('invalid_request', 'code_challenge is missing: PKCE is required');
  if (parameters.get('code_challenge_method') !== 'S256')
    throw new OAuthError('invalid_request', 'code_challenge_method must be S256');
  if (!/^[A-Za-z0-9_-]{43}$/.test(challenge))
    throw new OAuthError('invalid_request', 'code_challenge is not a SHA-256 digest in base64url');
  return challenge;
}
