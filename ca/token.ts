import { parseBase64Url, parseUtf8 } from '../core/bytes/bytes.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { HallmarkError, IdentityError } from '../core/errors.ts';
import { MAX_IDENTITY_TOKEN_CHARS } from '../core/limits.ts';
import type { IssuerKeys } from './issuer-keys.ts';
import type { Issuer, IssuerTable } from './issuers.ts';

/** The claims of an identity token whose signature, issuer, audience and times have been verified. Only this file makes one. */
export interface VerifiedToken {
  readonly issuer: Issuer;
  readonly tokenSubject: string;
  readonly claims: { readonly [name: string]: Json };
}

/** How far the issuer's clock may run ahead, ms: the leeway of the reference server for `nbf`. */
const CLOCK_LEEWAY_MS = 5 * 60_000;

/**
 * Verifies an identity token (OpenID Connect Core §3.1.3.7, RFC 7519). Nothing is fetched before `iss` is found in the
 * table. IDENTITY_TOKEN_INVALID or IDENTITY_TOKEN_EXPIRED; ServiceError if the issuer's keys cannot be had.
 */
export async function verifyIdentityToken(
  token: string,
  issuers: IssuerTable,
  issuerKeys: IssuerKeys,
  now: Date,
): Promise<VerifiedToken> {
  requireCompactForm(token);

  // The payload names who has to have signed it; nothing else of it is used before that is verified.
  const unverified = parseClaims(payloadOf(token));
  const url = unverified['iss'];
  const issuer = typeof url === 'string' ? issuers.get(url) : undefined;
  if (!issuer) throw invalid(`issuer ${quote(url)} is not accepted here`);

  const claims = parseClaims(await issuerKeys.verifySignature(token, issuer));

  requireTimes(claims, now);
  const audiences = Array.isArray(claims['aud']) ? claims['aud'] : [claims['aud']];
  if (!audiences.includes(issuer.audience))
    throw invalid(`audience is ${quote(claims['aud'])}, expected ${quote(issuer.audience)}`);
  const tokenSubject = claims['sub'];
  if (typeof tokenSubject !== 'string' || tokenSubject === '') throw invalid('claim sub is missing');
  // A lone surrogate has no UTF-8: it would be encoded as U+FFFD, and one subject be taken for another.
  if (!tokenSubject.isWellFormed()) throw invalid('claim sub is not Unicode text');
  return { issuer, tokenSubject, claims };
}

// RFC 7515 §7.1. Counted before anything is split: a token of nothing but dots costs memory otherwise.
function requireCompactForm(token: string): void {
  if (token === '') throw new IdentityError('IDENTITY_TOKEN_MISSING', 'no identity token given');
  if (token.length > MAX_IDENTITY_TOKEN_CHARS)
    throw invalid(`identity token is longer than ${MAX_IDENTITY_TOKEN_CHARS} characters`);
  const first = token.indexOf('.');
  const second = token.indexOf('.', first + 1);
  if (first < 0 || second < 0 || token.indexOf('.', second + 1) >= 0)
    throw invalid('identity token does not have three parts');
}

function payloadOf(token: string): Uint8Array {
  const first = token.indexOf('.') + 1;
  try {
    return parseBase64Url(token.slice(first, token.indexOf('.', first)));
  } catch (cause) {
    throw invalid('identity token is not base64url', cause);
  }
}

function parseClaims(payload: Uint8Array): { readonly [name: string]: Json } {
  let claims: Json;
  try {
    claims = parseJson(parseUtf8(payload));
  } catch (cause) {
    throw invalid(`payload of the identity token is ${cause instanceof HallmarkError ? cause.message : 'bad'}`, cause);
  }
  if (claims === null || typeof claims !== 'object' || Array.isArray(claims))
    throw invalid('payload of the identity token is not an object');
  return claims;
}

// RFC 7519 §4.1.4 to §4.1.6: `exp` is required and sharp, `nbf` and `iat` have a leeway.
function requireTimes(claims: { readonly [name: string]: Json }, now: Date): void {
  const expiry = timeOf(claims, 'exp');
  if (expiry === undefined) throw invalid('claim exp is missing');
  if (now.getTime() >= expiry)
    throw new IdentityError('IDENTITY_TOKEN_EXPIRED', `identity token expired at ${new Date(expiry).toISOString()}`, {
      hint: 'get a new identity token',
    });
  for (const name of ['nbf', 'iat']) {
    const start = timeOf(claims, name);
    if (start !== undefined && start > now.getTime() + CLOCK_LEEWAY_MS)
      throw invalid(`identity token is not valid before ${new Date(start).toISOString()} (claim ${name})`);
  }
}

/** A NumericDate in ms. The bound is the last instant that a Date can hold. */
function timeOf(claims: { readonly [name: string]: Json }, name: string): number | undefined {
  const seconds = claims[name];
  if (seconds === undefined || seconds === null) return undefined;
  if (typeof seconds !== 'number' || seconds < 0 || seconds > 8.64e12) throw invalid(`claim ${name} is not a time`);
  return seconds * 1000;
}

function invalid(problem: string, cause?: unknown): IdentityError {
  return new IdentityError('IDENTITY_TOKEN_INVALID', problem, { cause });
}

function quote(value: Json | undefined): string {
  return value === undefined ? 'missing' : JSON.stringify(value).slice(0, 200);
}
