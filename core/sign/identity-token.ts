import { parseBase64Url } from '../bytes/bytes.ts';
import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import { HallmarkError, IdentityError } from '../errors.ts';
import { MAX_IDENTITY_TOKEN_CHARS } from '../limits.ts';

/** An identity token (OIDC ID token, a JWT) as its holder reads it. Its signature is the CA's to verify, not ours. */
export interface IdentityToken {
  /** The token as it was given. */
  readonly jwt: string;
  readonly issuer: string;
  readonly tokenSubject: string;
  /** The email claim, unless it is marked as not verified. */
  readonly email: string | undefined;
  /** Issuers that the certificate may name: `iss`, and the connector behind it when the issuer is a Dex. */
  readonly issuers: readonly string[];
  readonly nonce: string | undefined;
  readonly audiences: readonly string[];
  readonly expires: Date;
}

/** True for what looks like a JWT in compact form (RFC 7515 §7.1): three parts of base64url, the first an object. */
export function isJwt(text: string): boolean {
  return text.length <= MAX_IDENTITY_TOKEN_CHARS && /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/.test(text);
}

/** Parses the claims of an identity token (RFC 7519 §4.1, OpenID Connect Core §2). IDENTITY_TOKEN_INVALID. */
export function parseIdentityToken(jwt: string): IdentityToken {
  if (!isJwt(jwt)) throw new IdentityError('IDENTITY_TOKEN_INVALID', 'the identity token is not a JWT', { hint: HINT });
  try {
    const claims = new Fields(
      parseJson(parseBase64Url(jwt.split('.')[1] as string)),
      'identity token',
      'FIELD_INVALID',
    );
    const issuer = claims.string('iss');
    // RFC 7519 §2: NumericDate may carry a fraction.
    const expires = claims.json('exp');
    if (typeof expires !== 'number' || !(expires > 0 && expires < 2 ** 40)) throw claims.fail('exp', 'expected a time');
    return {
      jwt,
      issuer,
      tokenSubject: claims.string('sub'),
      email: verifiedEmail(claims),
      issuers: [issuer, ...connector(claims)],
      nonce: claims.optionalString('nonce'),
      audiences: audiences(claims),
      expires: new Date(expires * 1000),
    };
  } catch (cause) {
    if (!(cause instanceof HallmarkError)) throw cause;
    throw new IdentityError('IDENTITY_TOKEN_INVALID', `the identity token cannot be read: ${cause.message}`, {
      cause,
      hint: HINT,
    });
  }
}

const HINT = 'get a new identity token from its issuer; its audience has to be "sigstore"';

/** Throws IDENTITY_TOKEN_EXPIRED if the token has ended: the CA would refuse it, and this costs no request. */
export function requireFreshToken(token: IdentityToken, now: Date): void {
  if (token.expires > now) return;
  throw new IdentityError(
    'IDENTITY_TOKEN_EXPIRED',
    `the identity token of ${token.email ?? token.tokenSubject} expired at ${token.expires.toISOString()}, it is now ${now.toISOString()}`,
    { hint: `get a new identity token from ${token.issuer}, or check this computer's clock` },
  );
}

/**
 * The text that the proof of possession signs (Fulcio: the principal's name): the email if the token has one that is
 * not marked unverified, else the token subject.
 */
export function possessionText(token: IdentityToken): string {
  return token.email ?? token.tokenSubject;
}

// Some issuers write email_verified as text.
function verifiedEmail(claims: Fields): string | undefined {
  const email = claims.optionalString('email');
  const verified = claims.json('email_verified');
  const unverified = verified === false || (typeof verified === 'string' && verified.toLowerCase() === 'false');
  return email === undefined || email === '' || unverified ? undefined : email;
}

function connector(claims: Fields): string[] {
  const id = claims.optionalObject('federated_claims')?.optionalString('connector_id');
  return id === undefined ? [] : [id];
}

function audiences(claims: Fields): string[] {
  const audience = claims.json('aud');
  const list = Array.isArray(audience) ? audience : audience === undefined ? [] : [audience];
  if (list.length > 100 || !list.every((item) => typeof item === 'string'))
    throw claims.fail('aud', 'expected a string or an array of strings');
  return list;
}
