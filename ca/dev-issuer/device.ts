import { jsonResponse } from '../../core/http/front-end.ts';
import { isEmailAddress } from '../email.ts';
import type { ExpiringMap } from './expiring-map.ts';
import { NO_STORE, OAuthError, type Parameters, requireChallenge, requireClient, requireVerifier } from './oauth.ts';
import { devicePage, messagePage } from './pages.ts';

/** How long a device waits for its person, s. */
export const DEVICE_LIFETIME_S = 600;
/** How often a device asks, s: it asks this computer. */
const POLL_INTERVAL_S = 1;

/** A device that waits for a person: `decision` is who allowed it, or that somebody denied it. */
export interface DeviceLogin {
  readonly userCode: string;
  /** PKCE is no part of RFC 8628, but Sigstore's clients send it; then it is held to. */
  readonly codeChallenge: string | undefined;
  decision: { readonly email: string } | 'denied' | undefined;
}

export interface DeviceFlow {
  readonly verificationUrl: string;
  readonly byDeviceCode: ExpiringMap<DeviceLogin>;
  readonly byUserCode: ExpiringMap<DeviceLogin>;
  readonly random: (bytes: number) => Uint8Array;
  readonly newCode: () => string;
}

/** RFC 8628 §3.1, §3.2: device authorization request and response. */
export function startDeviceLogin(flow: DeviceFlow, form: Parameters, authorization: string | null): Response {
  requireClient(form, authorization);
  const login: DeviceLogin = {
    userCode: newUserCode(flow.random),
    codeChallenge: form.has('code_challenge') ? requireChallenge(form) : undefined,
    decision: undefined,
  };
  const deviceCode = flow.newCode();
  flow.byDeviceCode.set(deviceCode, login);
  flow.byUserCode.set(login.userCode, login);
  return jsonResponse(
    200,
    {
      device_code: deviceCode,
      user_code: login.userCode,
      verification_uri: flow.verificationUrl,
      verification_uri_complete: `${flow.verificationUrl}?user_code=${login.userCode}`,
      expires_in: DEVICE_LIFETIME_S,
      interval: POLL_INTERVAL_S,
    },
    NO_STORE,
  );
}

/** RFC 8628 §3.3: the person's answer. A user code takes one decision. */
export function decideDeviceLogin(flow: DeviceFlow, form: Parameters, action: string): Response {
  const userCode = form.get('user_code') ?? '';
  const email = (form.get('email') ?? '').trim();
  const again = (problem: string): Response => devicePage({ action, userCode, email, problem });

  const canonical = userCode.toUpperCase().replace(/[^A-Z]/g, '');
  const login = flow.byUserCode.get(`${canonical.slice(0, 4)}-${canonical.slice(4)}`);
  if (!login || login.decision !== undefined) return again('This code is unknown, used or expired.');
  if (form.get('decision') === 'deny') {
    login.decision = 'denied';
    return messagePage(200, 'Denied', 'The device was not logged in. You may close this page.');
  }
  if (form.get('decision') !== 'allow') return again('Allow or deny the login.');
  if (!isEmailAddress(email)) return again('This is not an email address.');
  login.decision = { email };
  return messagePage(200, 'Logged in', `The device is logged in as ${email}. You may close this page.`);
}

/** RFC 8628 §3.4, §3.5: who logged the device in; every other state is an OAuthError that the device understands. */
export function redeemDeviceCode(flow: DeviceFlow, form: Parameters): string {
  const deviceCode = form.get('device_code') ?? '';
  const login = flow.byDeviceCode.get(deviceCode);
  if (!login) throw new OAuthError('expired_token', 'device_code is unknown, used or expired');
  if (login.codeChallenge !== undefined) requireVerifier(login.codeChallenge, form.get('code_verifier'));
  if (login.decision === undefined) throw new OAuthError('authorization_pending', 'nobody has logged in yet');
  flow.byDeviceCode.take(deviceCode);
  if (login.decision === 'denied') throw new OAuthError('access_denied', 'the login was denied');
  return login.decision.email;
}

/** RFC 8628 §6.1: eight letters that neither look alike nor make words, 34 bits, drawn evenly. */
function newUserCode(random: (bytes: number) => Uint8Array): string {
  const letters = 'BCDFGHJKLMNPQRSTVWXZ';
  let code = '';
  while (code.length < 8) {
    const [byte = 255] = random(1);
    if (byte < 240) code += letters[byte % 20];
  }
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}
