import { serializeTransparencyLogEntry, type TransparencyLogEntry } from '../bundle/bundle.ts';
import { signedEntryTimestampPayload } from '../bundle/set.ts';
import { parseUtf8, serializeHex } from '../bytes/bytes.ts';
import { generateKey, type PrivateKey, sign } from '../crypto/private-key.ts';
import { keyFingerprint, type PublicKey } from '../crypto/public-key.ts';
import type { Http } from '../http/client.ts';
import { signCheckpoint } from '../merkle/checkpoint.ts';
import { logKeyHash } from '../merkle/note.ts';
import { leafHash } from '../merkle/tree.ts';
import { serializeTimestampResponse } from '../timestamp/issue.ts';
import { parseTimestampRequest } from '../timestamp/request.ts';
import type { LogInstance, TrustedRoot } from '../trust/trusted-root.ts';
import type { AlternativeName } from '../x509/names.ts';
import type { SigningServices } from './services.ts';
import {
  chainPems,
  claimsOf,
  createChain,
  issueSigningCertificate,
  readCertificateRequest,
} from './testing-authority.ts';
import { dsseBodyV001, hashedRekordBodyV002, logEntryV1 } from './testing-entries.ts';

/** Test only: an identity token whose signature nobody made. */
export function unsignedToken(claims: object): string {
  return ['{"alg":"RS256"}', JSON.stringify(claims), 'signature']
    .map((part) => Buffer.from(part).toString('base64url'))
    .join('.');
}

/** What a fake service does wrong; by default nothing. */
export interface Flaws {
  /** Answers instead of the service at this path; undefined lets the service answer. `count` is how often it was asked. */
  instead?: Record<string, (count: number, body: Uint8Array) => Response | undefined>;
  certificate?: {
    key?: PublicKey;
    name?: AlternativeName;
    oidcIssuer?: string;
    withoutSct?: true;
    foreignCa?: true;
    foreignCt?: true;
  };
  /** Milliseconds; ten minutes otherwise. */
  lifetimeMs?: number;
  timestamp?: { nonce?: bigint | undefined; digest?: Uint8Array; time?: Date; foreign?: true };
  /** Changes the canonical body before the log takes it in. */
  body?: (body: Uint8Array) => Uint8Array;
  /** Changes the finished v1 or v2 entry. */
  entry?: (entry: TransparencyLogEntry) => TransparencyLogEntry;
}

const URL_BASE = 'https://sigstore.example';
const NOW = new Date('2026-11-20T12:00:00Z');
const VALID = { start: new Date('2026-01-01T00:00:00Z'), end: undefined };

/**
 * Test only: a Sigstore of real formats and signatures behind a fetch function: CA with CT log, timestamp authority, logs
 * of both dialects (each entry in a tree of its own), and the trusted root that vouches for them.
 */
export function fakeSigstore(flaws: Flaws = {}) {
  const clock = { now: NOW };
  const ca = createChain(NOW, 'codeSigning');
  const otherCa = createChain(NOW, 'codeSigning');
  const tsa = createChain(NOW, 'timeStamping');
  const otherTsa = createChain(NOW, 'timeStamping');
  const ct = generateKey('p256');
  const v1 = generateKey('p256');
  const v2 = generateKey('ed25519');
  const calls: string[] = [];
  const slept: number[] = [];
  let entries = 0n;

  const log = (key: PrivateKey, logId: Uint8Array): LogInstance => ({
    baseUrl: URL_BASE,
    publicKey: key.publicKey,
    keyDetails: key.publicKey.kind === 'ed25519' ? 'PKIX_ED25519' : 'PKIX_ECDSA_P256_SHA_256',
    logId,
    validFor: VALID,
  });
  const host = new URL(URL_BASE).hostname;
  const v1Id = keyFingerprint(v1.publicKey);
  const v2Id = logKeyHash(host, v2.publicKey);
  const trustedRoot: TrustedRoot = {
    tlogs: [log(v1, v1Id), log(v2, v2Id)],
    ctlogs: [log(ct, keyFingerprint(ct.publicKey))],
    certificateAuthorities: [{ subject: {}, uri: URL_BASE, chain: [ca.issuing.certificate, ca.root], validFor: VALID }],
    timestampAuthorities: [{ subject: {}, uri: URL_BASE, chain: [tsa.issuing.certificate, tsa.root], validFor: VALID }],
  };

  function certify(body: string): Response {
    const asked = readCertificateRequest(body, (jwt) => String(claimsOf(jwt)['email'] ?? claimsOf(jwt)['sub']));
    if (asked === undefined) return refuse(400, 'The signature supplied in the request could not be verified');
    const { email, iss, sub } = claimsOf(asked.jwt);
    const issuing = flaws.certificate?.foreignCa ? otherCa : ca;
    const certificate = issueSigningCertificate({
      authority: issuing.issuing,
      ctKey: flaws.certificate?.withoutSct ? undefined : flaws.certificate?.foreignCt ? generateKey('p256') : ct,
      key: flaws.certificate?.key ?? asked.key,
      name:
        flaws.certificate?.name ??
        (email === undefined ? { kind: 'uri', value: String(sub) } : { kind: 'email', value: String(email) }),
      oidcIssuer: flaws.certificate?.oidcIssuer ?? String(iss),
      now: clock.now,
      lifetimeMs: flaws.lifetimeMs ?? 600_000,
    });
    const certificates = chainPems(certificate, issuing.issuing.certificate, issuing.root);
    return Response.json({ signedCertificateEmbeddedSct: { chain: { certificates } } });
  }

  function timestamp(body: Uint8Array): Response {
    const request = parseTimestampRequest(body);
    const { nonce = request.nonce, digest = request.imprint.digest, time = clock.now, foreign } = flaws.timestamp ?? {};
    const signer = foreign ? otherTsa : tsa;
    const der = serializeTimestampResponse({
      request: { ...request, nonce, imprint: { ...request.imprint, digest } },
      serialNumber: Uint8Array.of(1),
      time,
      policy: '1.3.6.1.4.1.57264.2',
      accuracySeconds: 1,
      chain: [signer.issuing.certificate, signer.root],
      key: signer.issuing.key,
    });
    return new Response(der.slice(), { headers: { 'content-type': 'application/timestamp-reply' } });
  }

  // An entry at the only place of a tree of its own.
  function take(
    dialect: 1 | 2,
    kindVersion: { kind: string; version: string },
    given: Uint8Array,
  ): TransparencyLogEntry {
    const canonicalizedBody = flaws.body?.(given) ?? given;
    const [key, logId, origin] = dialect === 1 ? ([v1, v1Id, `${host} - 4711`] as const) : ([v2, v2Id, host] as const);
    const rootHash = leafHash(canonicalizedBody);
    const checkpoint = signCheckpoint(
      { origin, treeSize: 1n, rootHash },
      { name: host, keyId: logId.subarray(0, 4), key },
    );
    const entry = {
      logIndex: dialect === 1 ? 100n + entries++ : 0n,
      logId,
      kindVersion,
      inclusionProof: { logIndex: 0n, rootHash, treeSize: 1n, hashes: [], checkpoint },
      canonicalizedBody,
    };
    if (dialect === 2) return { ...entry, integratedTime: undefined, inclusionPromise: undefined };
    const integratedTime = BigInt(Math.floor(clock.now.getTime() / 1000));
    const payload = signedEntryTimestampPayload({
      body: canonicalizedBody,
      integratedTime,
      logId,
      logIndex: entry.logIndex,
    });
    return { ...entry, integratedTime, inclusionPromise: sign(key, payload) };
  }

  const taken = new Map<string, TransparencyLogEntry>();
  function appendV1(body: Uint8Array): Response {
    const proposed = JSON.parse(parseUtf8(body)) as { kind: string };
    const canonical = proposed.kind === 'dsse' ? dsseBodyV001(body) : body;
    const id = `${'0'.repeat(16)}${serializeHex(leafHash(canonical))}`;
    const location = `/api/v1/log/entries/${id}`;
    if (taken.has(id)) return refuse(409, 'an equivalent entry already exists', { location });
    const entry = take(1, { kind: proposed.kind, version: '0.0.1' }, canonical);
    const changed = flaws.entry?.(entry) ?? entry;
    taken.set(id, changed);
    return Response.json(logEntryV1(id, changed), { status: 201, headers: { location } });
  }

  function appendV2(body: Uint8Array): Response {
    const entry = take(2, { kind: 'hashedrekord', version: '0.0.2' }, hashedRekordBodyV002(body));
    return Response.json(serializeTransparencyLogEntry(flaws.entry?.(entry) ?? entry), { status: 201 });
  }

  const asked = new Map<string, number>();
  const http: Http = {
    clock: () => clock.now,
    random: (n) => crypto.getRandomValues(new Uint8Array(n)),
    sleep: async (ms) => void slept.push(ms),
    async fetch(url, init) {
      const { pathname } = new URL(url);
      calls.push(`${init?.method} ${pathname}`);
      const count = (asked.get(pathname) ?? 0) + 1;
      asked.set(pathname, count);
      const body = new Uint8Array(await new Response(init?.body as never).arrayBuffer());
      const instead = flaws.instead?.[pathname]?.(count, body);
      if (instead !== undefined) return instead;
      if (pathname === '/api/v2/signingCert') return certify(parseUtf8(body));
      if (pathname === '/api/v1/timestamp') return timestamp(body);
      if (pathname === '/api/v1/log/entries') return appendV1(body);
      if (pathname === '/api/v2/log/entries') return appendV2(body);
      const id = pathname.split('/').at(-1) ?? '';
      const entry = taken.get(id);
      return entry === undefined ? refuse(404, 'not found') : Response.json(logEntryV1(id, entry));
    },
  };

  const services = (version: 1 | 2 = 1): SigningServices => ({
    certificateAuthority: URL_BASE,
    timestampAuthorities: [`${URL_BASE}/api/v1/timestamp`],
    logs: [{ version, url: URL_BASE }],
  });
  const token = (claims: object = {}): string =>
    unsignedToken({
      iss: 'https://issuer.example',
      sub: 'user',
      aud: 'sigstore',
      exp: clock.now.getTime() / 1000 + 300,
      email: 'a@b.example',
      email_verified: true,
      ...claims,
    });
  return { http, calls, slept, clock, trustedRoot, services, token };
}

function refuse(status: number, message: string, headers: Record<string, string> = {}): Response {
  return Response.json({ code: status, message }, { status, headers });
}
