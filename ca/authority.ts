import type { Json } from '../core/bytes/json.ts';
import { serializePem } from '../core/crypto/pem.ts';
import type { PrivateKey } from '../core/crypto/private-key.ts';
import { HallmarkError } from '../core/errors.ts';
import type { FetchLike } from '../core/http/client.ts';
import { type Handle, jsonResponse, methodNotAllowed, type Peer, readBody } from '../core/http/front-end.ts';
import { createRateLimiter, type Rate, retryAfter } from '../core/http/rate-limit.ts';
import { MAX_CA_REQUEST_BYTES } from '../core/limits.ts';
import type { Metrics } from '../core/metrics.ts';
import { type Certificate, serializeCertificatePem } from '../core/x509/certificate.ts';
import type { CtLog } from '../core/x509/sct.ts';
import { requireChainOf } from './chain.ts';
import { issueCertificate } from './issue.ts';
import { createIssuerKeys } from './issuer-keys.ts';
import type { Issuer, IssuerTable } from './issuers.ts';
import { Refusal } from './refusal.ts';
import { type CertificateRequest, parseV1Request, parseV2Request } from './request.ts';

export interface CertificateAuthority {
  readonly handle: Handle;
}

/** The media type of a PEM chain, as Fulcio names it. */
const PEM_CHAIN = 'application/pem-certificate-chain';

/**
 * A certificate authority with Fulcio's HTTP interface, versions 1 and 2. `chain` goes from the certificate of `key` to the
 * root, KEY_INVALID if they do not belong together. `report` is told of every request that failed by a fault of this side, with its cause.
 */
export function createCertificateAuthority(options: {
  key: PrivateKey;
  chain: readonly Certificate[];
  issuers: IssuerTable;
  ctLog: CtLog;
  clock: () => Date;
  random: (bytes: number) => Uint8Array;
  fetch: FetchLike;
  metrics: Metrics;
  rate: Rate;
  report?: (problem: unknown) => void;
}): CertificateAuthority {
  const issuing = requireChainOf(options.key, options.chain);
  const chainPem = options.chain.map(serializeCertificatePem);
  const issuerKeys = createIssuerKeys(options);
  const issuance = { ...options, issuing, issuerKeys, limit: createRateLimiter(options.rate, options.clock) };
  const issued = options.metrics.counter('hallmark_certificates_issued_total', 'Signing certificates issued.');

  /** Leaf and chain in PEM for a request in either version's form. */
  async function issueFor(
    request: Request,
    peer: Peer,
    parse: (body: Uint8Array, authorization: string | null) => CertificateRequest,
  ): Promise<string[]> {
    const body = await readBody(request, MAX_CA_REQUEST_BYTES).catch((cause: unknown) => {
      throw new Refusal('request', cause);
    });
    if (!body) throw new Refusal('requestTooLarge', new Error(`more than ${MAX_CA_REQUEST_BYTES} bytes`));
    let parsed: CertificateRequest;
    try {
      parsed = parse(body, request.headers.get('authorization'));
    } catch (cause) {
      throw new Refusal(cause instanceof HallmarkError ? 'request' : 'internal', cause);
    }
    const certificate = await issueCertificate(parsed, issuance, peer.client !== undefined);
    issued.add(1);
    return [serializePem('CERTIFICATE', certificate), ...chainPem];
  }

  const pemResponse = (status: number, certificates: readonly string[]): Response =>
    new Response(certificates.join(''), { status, headers: { 'content-type': PEM_CHAIN } });

  const routes: Record<
    string,
    { method: string; answer: (request: Request, peer: Peer) => Promise<Response> | Response }
  > = {
    '/api/v2/signingCert': {
      method: 'POST',
      answer: async (request, peer) => {
        const certificates = await issueFor(request, peer, parseV2Request);
        // 200, not 201: clients of version 2 take nothing else.
        return jsonResponse(200, { signedCertificateEmbeddedSct: { chain: { certificates } } });
      },
    },
    '/api/v2/trustBundle': {
      method: 'GET',
      answer: () => jsonResponse(200, { chains: [{ certificates: chainPem }] }),
    },
    '/api/v2/configuration': {
      method: 'GET',
      answer: () => jsonResponse(200, { issuers: [...options.issuers.values()].map(describeIssuer) }),
    },
    '/api/v1/signingCert': {
      method: 'POST',
      // 201, not 200: clients of version 1 take nothing else.
      answer: async (request, peer) => pemResponse(201, await issueFor(request, peer, parseV1Request)),
    },
    '/api/v1/rootCert': { method: 'GET', answer: () => pemResponse(200, chainPem) },
  };

  async function answer(route: (typeof routes)[string], request: Request, peer: Peer): Promise<Response> {
    if (request.method !== route.method) return methodNotAllowed(route.method);
    try {
      return await route.answer(request, peer);
    } catch (problem) {
      const refusal = problem instanceof Refusal ? problem : new Refusal('internal', problem);
      if (refusal.status >= 500 && refusal.reason !== 'overloaded') options.report?.(refusal);
      const { waitMs } = refusal;
      return jsonResponse(
        refusal.status,
        refusal.body,
        waitMs === undefined ? {} : { 'retry-after': retryAfter(waitMs) },
      );
    }
  }

  return {
    handle(request, url, peer) {
      const route = Object.hasOwn(routes, url.pathname) ? routes[url.pathname] : undefined;
      if (route) peer.matched?.(url.pathname);
      return route && answer(route, request, peer);
    },
  };
}

/** One OIDCIssuer of fulcio.proto with all its fields; the challenge claim is what a client signs to prove possession. */
function describeIssuer(issuer: Issuer): Json {
  return {
    issuerUrl: issuer.url,
    audience: issuer.audience,
    challengeClaim: issuer.type === 'email' ? 'email' : 'sub',
    spiffeTrustDomain: issuer.type === 'spiffe' ? issuer.trustDomain : '',
    issuerType: issuer.type,
    subjectDomain: issuer.type === 'uri' || issuer.type === 'username' ? issuer.subjectDomain : '',
    skipEmailVerification: issuer.type === 'email' && issuer.emailVerification === 'skipped',
  };
}
