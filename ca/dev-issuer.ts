import type { JSONWebKeySet } from 'jose';
import { serializeBase64Url } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError } from '../core/errors.ts';
import { type Handle, jsonResponse, mediaType, methodNotAllowed, readBody } from '../core/http/front-end.ts';
import { MAX_FORM_BYTES } from '../core/limits.ts';
import { type Reach, refuseAccess } from './dev-issuer/access.ts';
import { authorize, CODE_LIFETIME_MS, type CodeFlow, type PendingCode, redeemCode } from './dev-issuer/code-flow.ts';
import {
  DEVICE_LIFETIME_S,
  type DeviceFlow,
  type DeviceLogin,
  decideDeviceLogin,
  redeemDeviceCode,
  startDeviceLogin,
} from './dev-issuer/device.ts';
import { discoveryDocument } from './dev-issuer/discovery.ts';
import { createExpiringMap } from './dev-issuer/expiring-map.ts';
import { createMint, TOKEN_LIFETIME_S } from './dev-issuer/mint.ts';
import {
  errorResponse,
  NO_STORE,
  OAuthError,
  type Parameters,
  parseParameters,
  readForm,
  requireClient,
} from './dev-issuer/oauth.ts';
import { devicePage } from './dev-issuer/pages.ts';
import { isEmailAddress } from './email.ts';
import type { Issuer } from './issuers.ts';

/** Codes and devices waiting at once: more than a test suite starts, and a bound on memory. */
const MAX_WAITING = 1000;

export interface DevIssuer {
  readonly handle: Handle;
  readonly jwks: () => Promise<JSONWebKeySet>;
  /** The row for the CA's issuer table. */
  readonly issuer: Issuer;
}

/**
 * An OpenID Connect issuer for local use that believes whoever says who they are. `url` is its issuer URL, whose path is
 * the prefix of all it answers. `key` makes or reads its RSA key, once, when it is first needed.
 */
export function createDevIssuer(options: {
  url: string;
  clock: () => Date;
  random: (bytes: number) => Uint8Array;
  key: () => Promise<PrivateKey>;
  reach: Reach;
}): DevIssuer {
  const { url: issuerUrl, clock, random } = options;
  const prefix = new URL(issuerUrl).pathname.replace(/\/$/, '');
  const access = { reach: options.reach, origin: new URL(issuerUrl).origin };
  const mint = createMint(options);
  const newCode = (): string => serializeBase64Url(random(24));
  const logins: CodeFlow = {
    action: `${prefix}/authorize`,
    codes: createExpiringMap<PendingCode>({ clock, lifetimeMs: CODE_LIFETIME_MS, max: MAX_WAITING }),
    newCode,
  };
  const waiting = { clock, lifetimeMs: DEVICE_LIFETIME_S * 1000, max: MAX_WAITING };
  const devices: DeviceFlow = {
    verificationUrl: `${issuerUrl}/device`,
    byDeviceCode: createExpiringMap<DeviceLogin>(waiting),
    byUserCode: createExpiringMap<DeviceLogin>(waiting),
    random,
    newCode,
  };

  /** RFC 6749 §5.1. The access token is the identity token: one client uses it as such. */
  async function tokenResponse(email: string, nonce?: string): Promise<Response> {
    const token = await mint.mintToken(email, nonce);
    const tokens = { access_token: token, id_token: token, token_type: 'Bearer', scope: 'openid email' };
    return jsonResponse(200, { ...tokens, expires_in: TOKEN_LIFETIME_S }, NO_STORE);
  }

  /** The token endpoint (RFC 6749 §3.2). */
  async function redeem(form: Parameters, authorization: string | null): Promise<Response> {
    requireClient(form, authorization);
    switch (form.get('grant_type')) {
      case 'authorization_code': {
        const { email, nonce } = redeemCode(logins, form);
        return await tokenResponse(email, nonce);
      }
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return await tokenResponse(redeemDeviceCode(devices, form));
      default:
        throw new OAuthError('unsupported_grant_type', 'grant_type must be authorization_code or device_code');
    }
  }

  /** What the issuer answers, by path below its URL and method. */
  const routes: Record<string, Record<string, (request: Request, url: URL) => Promise<Response> | Response>> = {
    '/.well-known/openid-configuration': { GET: () => jsonResponse(200, discoveryDocument(issuerUrl)) },
    '/jwks': { GET: async () => Response.json(await mint.jwks()) },
    '/authorize': {
      GET: (_, url) => authorize(logins, parseParameters(url.searchParams), false),
      POST: async (request) => authorize(logins, await readForm(request), true),
    },
    '/token': { POST: async (request) => redeem(await readForm(request), request.headers.get('authorization')) },
    '/device/code': {
      POST: async (request) => startDeviceLogin(devices, await readForm(request), request.headers.get('authorization')),
    },
    '/device': {
      GET: (_, url) =>
        devicePage({ action: `${prefix}/device`, userCode: url.searchParams.get('user_code') ?? '', email: '' }),
      POST: async (request) => decideDeviceLogin(devices, await readForm(request), `${prefix}/device`),
    },
    '/script/token': { POST: async (request) => tokenResponse(await readScriptEmail(request)) },
  };

  async function answer(route: (typeof routes)[string], request: Request, url: URL): Promise<Response> {
    const method = Object.hasOwn(route, request.method) ? route[request.method] : undefined;
    if (!method) return methodNotAllowed(Object.keys(route).join(', '));
    try {
      return await method(request, url);
    } catch (problem) {
      if (problem instanceof OAuthError) return errorResponse(problem);
      throw problem;
    }
  }

  return {
    handle(request, url, peer) {
      if (!url.pathname.startsWith(`${prefix}/`)) return undefined;
      const path = url.pathname.slice(prefix.length);
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (!route) return undefined;
      peer.matched?.(url.pathname);
      return refuseAccess(request, url, peer, access) ?? answer(route, request, url);
    },
    jwks: mint.jwks,
    issuer: { url: issuerUrl, audience: 'sigstore', type: 'email', emailVerification: 'required', jwks: mint.jwks },
  };
}

/** The email address in `{"email":"..."}`, by which a script asks for a token. JSON, so that no form of a web page can. */
async function readScriptEmail(request: Request): Promise<string> {
  if (mediaType(request) !== 'application/json') throw new OAuthError('invalid_request', 'expected application/json');
  const body = await readBody(request, MAX_FORM_BYTES);
  if (!body) throw new OAuthError('invalid_request', `body of more than ${MAX_FORM_BYTES} bytes`);
  let email: string;
  try {
    const fields = new Fields(parseJson(body), '', 'FIELD_INVALID');
    email = fields.string('email');
    fields.end();
  } catch (cause) {
    throw cause instanceof HallmarkError ? new OAuthError('invalid_request', cause.message) : cause;
  }
  if (!isEmailAddress(email)) throw new OAuthError('invalid_request', 'email is not an email address');
  return email;
}
