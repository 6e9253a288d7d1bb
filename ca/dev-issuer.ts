import type { JSONWebKeySet } from 'jose';
import { serializeBase64Url } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError } from '../core/errors.ts';
import { MAX_FORM_BYTES } from '../core/limits.ts';
import { type Reach, refuseAccess } from './dev-issuer/access.ts';
import {
  AUTHORIZATION_PARAMETERS,
  type AuthorizationRequest,
  OUT_OF_BAND,
  parseAuthorizationRequest,
  redirectTo,
  requireRedirect,
} from './dev-issuer/authorization.ts';
import {
  DEVICE_LIFETIME_S,
  type DeviceFlow,
  type DeviceLogin,
  decideDeviceLogin,
  redeemDeviceCode,
  startDeviceLogin,
} from './dev-issuer/device.ts';
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
  requireVerifier,
} from './dev-issuer/oauth.ts';
import { codePage, devicePage, loginPage, messagePage } from './dev-issuer/pages.ts';
import { isEmailAddress } from './email.ts';
import { type Handle, jsonResponse, mediaType, methodNotAllowed, readBody } from './http.ts';
import type { Issuer } from './issuers.ts';

/** How long an authorization code waits to be redeemed, ms: a person may have to copy it. */
const CODE_LIFETIME_MS = 5 * 60_000;
/** Codes and devices waiting at once: more than a test suite starts, and a bound on memory. */
const MAX_WAITING = 1000;

export interface DevIssuer {
  readonly handle: Handle;
  readonly jwks: () => Promise<JSONWebKeySet>;
  /** The row for the CA's issuer table. */
  readonly issuer: Issuer;
}

interface PendingCode extends AuthorizationRequest {
  readonly email: string;
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
  const codes = createExpiringMap<PendingCode>({ clock, lifetimeMs: CODE_LIFETIME_MS, max: MAX_WAITING });
  const waiting = { clock, lifetimeMs: DEVICE_LIFETIME_S * 1000, max: MAX_WAITING };
  const devices: DeviceFlow = {
    verificationUrl: `${issuerUrl}/device`,
    byDeviceCode: createExpiringMap<DeviceLogin>(waiting),
    byUserCode: createExpiringMap<DeviceLogin>(waiting),
    random,
    newCode,
  };

  /** RFC 6749 §5.1. The access token is the identity token: one client uses it as such. */
  async function tokenResponse(email: string, nonce: string | undefined): Promise<Response> {
    const token = await mint.mintToken(email, nonce);
    return jsonResponse(
      200,
      {
        access_token: token,
        id_token: token,
        token_type: 'Bearer',
        expires_in: TOKEN_LIFETIME_S,
        scope: 'openid email',
      },
      NO_STORE,
    );
  }

  /** The authorization endpoint: GET shows the login form, POST is its submission. */
  function authorize(parameters: Parameters, submitted: boolean): Response {
    let redirectUri: string;
    try {
      redirectUri = requireRedirect(parameters);
    } catch (problem) {
      if (problem instanceof OAuthError) return messagePage(400, 'This login cannot begin', problem.message);
      throw problem;
    }
    const outOfBand = redirectUri === OUT_OF_BAND;
    let authorization: AuthorizationRequest;
    try {
      authorization = parseAuthorizationRequest(parameters);
    } catch (problem) {
      if (!(problem instanceof OAuthError)) throw problem;
      if (outOfBand) return messagePage(400, 'This login cannot begin', problem.message);
      const { error, message: error_description } = problem;
      return redirectTo(redirectUri, { error, error_description, state: parameters.get('state') });
    }
    const email = (parameters.get(submitted ? 'email' : 'login_hint') ?? '').trim();
    const carried = AUTHORIZATION_PARAMETERS.flatMap((name) => {
      const value = parameters.get(name);
      return value === undefined ? [] : [[name, value] as const];
    });
    const formTarget = outOfBand ? undefined : new URL(redirectUri).origin;
    const form = { action: `${prefix}/authorize`, carried, formTarget, email };
    if (!submitted) return loginPage(form);
    if (!isEmailAddress(email)) return loginPage({ ...form, problem: 'This is not an email address.' });

    const code = newCode();
    codes.set(code, { ...authorization, email });
    return outOfBand ? codePage(code) : redirectTo(redirectUri, { code, state: authorization.state });
  }

  /** The token endpoint (RFC 6749 §3.2). */
  async function redeem(form: Parameters, authorization: string | null): Promise<Response> {
    requireClient(form, authorization);
    switch (form.get('grant_type')) {
      case 'authorization_code': {
        // Taken at the first try, also a failing one: a code is used once (RFC 6749 §4.1.2).
        const pending = codes.take(form.get('code') ?? '');
        if (!pending) throw new OAuthError('invalid_grant', 'code is unknown, used or expired');
        if (form.get('redirect_uri') !== pending.redirectUri)
          throw new OAuthError('invalid_grant', 'redirect_uri is not the one of the authorization request');
        requireVerifier(pending.codeChallenge, form.get('code_verifier'));
        return await tokenResponse(pending.email, pending.nonce);
      }
      case 'urn:ietf:params:oauth:grant-type:device_code':
        return await tokenResponse(redeemDeviceCode(devices, form), undefined);
      default:
        throw new OAuthError('unsupported_grant_type', 'grant_type must be authorization_code or device_code');
    }
  }

  /** A token for a script, without a browser. JSON, so that no form of a web page can ask for one. */
  async function scriptToken(request: Request): Promise<Response> {
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
    return await tokenResponse(email, undefined);
  }

  /** What the issuer answers, by path below its URL and method. */
  const routes: Record<string, Record<string, (request: Request, url: URL) => Promise<Response> | Response>> = {
    '/.well-known/openid-configuration': { GET: () => jsonResponse(200, discoveryDocument(issuerUrl)) },
    '/jwks': { GET: async () => Response.json(await mint.jwks()) },
    '/authorize': {
      GET: (_, url) => authorize(parseParameters(url.searchParams), false),
      POST: async (request) => authorize(await readForm(request), true),
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
    '/script/token': { POST: scriptToken },
  };

  async function answer(route: (typeof routes)[string], request: Request, url: URL): Promise<Response> {
    const method = route[request.method];
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
      if (url.pathname !== prefix && !url.pathname.startsWith(`${prefix}/`)) return undefined;
      const path = url.pathname.slice(prefix.length);
      const route = Object.hasOwn(routes, path) ? routes[path] : undefined;
      if (!route) return undefined;
      return refuseAccess(request, url, peer, access) ?? answer(route, request, url);
    },
    jwks: mint.jwks,
    issuer: { url: issuerUrl, audience: 'sigstore', type: 'email', emailVerification: 'required', jwks: mint.jwks },
  };
}

/** OpenID Connect Discovery §3, RFC 8414 §2. The last member is ours: it says that this is no issuer to trust. */
function discoveryDocument(url: string): Record<string, string | string[]> {
  return {
    issuer: url,
    authorization_endpoint: `${url}/authorize`,
    token_endpoint: `${url}/token`,
    device_authorization_endpoint: `${url}/device/code`,
    jwks_uri: `${url}/jwks`,
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    code_challenge_methods_supported: ['S256'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
    scopes_supported: ['openid', 'email'],
    claims_supported: ['iss', 'sub', 'aud', 'iat', 'nbf', 'exp', 'email', 'email_verified', 'nonce'],
    hallmark_development_token_endpoint: `${url}/script/token`,
  };
}
