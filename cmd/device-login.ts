import { IdentityError, ServiceError } from '../core/errors.ts';
import type { IdentityToken } from '../core/sign/identity-token.ts';
import { acceptIdToken, type IssuerEndpoints, type LoginContext, pkce, postForm, SCOPES } from './oidc.ts';
import { printable } from './report.ts';

/** Seconds between two polls if the issuer names none, and what `slow_down` adds (RFC 8628 §3.2, §3.5). */
const DEFAULT_INTERVAL_S = 5;
/** Longest lifetime of a code that is waited for, seconds. */
const MAX_LIFETIME_S = 15 * 60;

/** Logs in with a browser on another device (RFC 8628, with PKCE). LOGIN_FAILED. */
export async function loginWithDevice(login: LoginContext, endpoints: IssuerEndpoints): Promise<IdentityToken> {
  if (endpoints.deviceAuthorization === undefined) throw failed(`${login.issuer} has no device login`);
  const { verifier, challenge } = pkce(login.http.random);

  // §3.1, §3.2: a code for the device and one for the person.
  const started = await postForm(login.http, endpoints.deviceAuthorization, {
    client_id: login.clientId,
    scope: SCOPES,
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  if (started.error !== undefined) throw failed(`the issuer says: ${started.description}`);
  const { deviceCode, userCode, address, complete, interval, lifetime } = readStart(login, started.fields);

  // §3.3: what the person has to do.
  login.say(`On any device, open ${address} and enter the code ${userCode}`);
  if (complete !== undefined) login.say(`or open ${complete}`);

  // §3.4, §3.5: poll until it is done.
  const end = login.http.clock().getTime() + Math.min(lifetime, MAX_LIFETIME_S) * 1000;
  for (let pause = interval; login.http.clock().getTime() < end; ) {
    await login.http.sleep(pause * 1000);
    const { fields, error, description } = await postForm(login.http, endpoints.token, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: deviceCode,
      client_id: login.clientId,
      code_verifier: verifier,
      ...(login.clientSecret !== undefined && { client_secret: login.clientSecret }),
    });
    if (error === undefined) return acceptIdToken(fields, login, undefined);
    if (error === 'slow_down') pause += DEFAULT_INTERVAL_S;
    else if (error !== 'authorization_pending') throw failed(`the issuer says: ${description}`);
  }
  throw failed('the code expired before it was entered');
}

function readStart(login: LoginContext, fields: import('../core/bytes/fields.ts').Fields) {
  try {
    return {
      deviceCode: fields.string('device_code'),
      userCode: printable(fields.string('user_code')),
      address: printable(fields.optionalString('verification_uri') ?? fields.string('verification_url')),
      complete: fields.has('verification_uri_complete')
        ? printable(fields.string('verification_uri_complete'))
        : undefined,
      interval: Math.max(1, fields.optionalInteger('interval', 0, 3600) ?? DEFAULT_INTERVAL_S),
      lifetime: fields.optionalInteger('expires_in', 1, 86_400) ?? MAX_LIFETIME_S,
    };
  } catch (cause) {
    throw new ServiceError('SERVICE_ANSWER_INVALID', `the OIDC issuer ${login.issuer} began no device login`, {
      cause,
    });
  }
}

function failed(problem: string): IdentityError {
  return new IdentityError('LOGIN_FAILED', `the login failed: ${problem}`, {
    hint: 'run the command again, or pass --identity-token TOKEN|FILE',
  });
}
