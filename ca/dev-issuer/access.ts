import { jsonResponse, type Peer } from '../../core/http/front-end.ts';

/** Who may use a development issuer: processes of this computer, or everybody who reaches it, as whom they like. */
export type Reach = 'loopback' | 'dangerously-everyone';

/** Headers by which a proxy says that the peer is not who sent the request. */
const FORWARDING_HEADERS = ['forwarded', 'x-forwarded-for', 'x-forwarded-host', 'x-real-ip'];

/**
 * The answer to a request that may not use the issuer, undefined if it may. The peer's address keeps other computers out,
 * the Host keeps out names that were pointed at this computer (DNS rebinding), the Origin keeps out other web pages (CSRF).
 */
export function refuseAccess(
  request: Request,
  url: URL,
  peer: Peer,
  issuer: { readonly reach: Reach; readonly origin: string },
): Response | undefined {
  const host = request.headers.get('host') ?? url.host;
  const origin = request.headers.get('origin');
  if (origin !== null && origin !== issuer.origin && origin !== `${url.protocol}//${host}`)
    return forbidden('requests from other web pages are refused');
  if (issuer.reach === 'dangerously-everyone') return undefined;
  if (!peer.loopback) return forbidden('it answers this computer only');
  if (FORWARDING_HEADERS.some((name) => request.headers.has(name)))
    return forbidden('it answers this computer only, and this request was forwarded');
  if (!isLoopbackHost(host)) return forbidden('it answers to localhost, 127.0.0.1 and [::1] only');
  return undefined;
}

/** True for a host, with or without a port, that always means this computer. */
export function isLoopbackHost(host: string): boolean {
  return /^(?:localhost|127(?:\.(?:0|[1-9]\d{0,2})){3}|\[::1\])(?::\d{1,5})?$/i.test(host);
}

function forbidden(why: string): Response {
  return jsonResponse(403, { error: 'access_denied', error_description: `development issuer: ${why}` });
}
