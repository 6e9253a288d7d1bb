// Valid requests to every route, to be changed. Each is what a client of Sigstore sends.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { serializeBase64, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import type { Json } from '../../core/bytes/json.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { parsePem } from '../../core/crypto/pem.ts';
import { generateKey, sign } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import { envelopeOf, hashedRekordV1, hashedRekordV2 } from '../../tlog/testing.ts';
import type { Parser } from '../fuzz/parsers.ts';

export interface Seed {
  readonly method: 'GET' | 'POST';
  /** With query. */
  readonly path: string;
  readonly type?: string;
  readonly body?: Uint8Array;
  /** How the body is changed. */
  readonly shape: Parser['shape'];
}

const get = (path: string): Seed => ({ method: 'GET', path, shape: 'text' });
const json = (path: string, value: Json): Seed => ({
  method: 'POST',
  path,
  type: 'application/json',
  body: serializeUtf8(JSON.stringify(value)),
  shape: 'json',
});
const form = (path: string, fields: Record<string, string>): Seed => ({
  method: 'POST',
  path,
  type: 'application/x-www-form-urlencoded',
  body: serializeUtf8(new URLSearchParams(fields).toString()),
  shape: 'text',
});
const b64 = (text: string | Uint8Array): string =>
  serializeBase64(typeof text === 'string' ? serializeUtf8(text) : text);

const KEYS = (['p256', 'p384', 'p521', 'rsa', 'ed25519'] as const).map((kind) => generateKey(kind, 2048));
const [KEY = generateKey('p256'), OTHER = KEY] = KEYS;
const PEM = serializePublicKeyPem(KEY.publicKey);
const STATEMENT = JSON.stringify({
  _type: 'https://in-toto.io/Statement/v1',
  subject: [{ name: 'file', digest: { sha256: 'ab'.repeat(32), sha1: 'cd'.repeat(20) } }],
  predicateType: 'https://slsa.dev/provenance/v0.2',
  predicate: { materials: [{ uri: 'x', digest: { sha1: '12'.repeat(20) } }] },
});
const LARGE = new Uint8Array(60_000).fill(7);
const STATEMENT_TYPE = 'application/vnd.in-toto+json';

/** The requests, by the name of their route. */
export async function seedsOf(url: string, token: (email: string) => Promise<string>): Promise<Record<string, Seed[]>> {
  const certificates = await issue(url, await token('fuzz@example.com'));
  const leaf = certificates[0] ?? '';
  const ders = certificates.map((pem) => parsePem(pem)[0]?.der ?? new Uint8Array());
  const timestamps = timestampRequests();
  const proposals = proposalsWith(await timestamp(url, timestamps[0] as Uint8Array), leaf);
  const logged = (await (
    await fetch(`${url}/api/v1/log/entries`, { method: 'POST', body: JSON.stringify(proposals[0]) })
  ).json()) as Record<string, { body: string }>;
  const [[id = '', entry] = []] = Object.entries(logged);
  const chain = { chain: ders.map((der) => b64(der)) };
  const [idToken, expiredToken] = [await token('a@example.com'), await token('b@example.com')];
  return {
    '/': [get('/')],
    '/healthz': [get('/healthz')],
    '/ping': [get('/ping')],
    '/api/search': [
      get('/api/search'),
      get(`/api/search?digest=sha256:${'ab'.repeat(32)}&log=v1&limit=10`),
      get('/api/search?identity=fuzz@example.com&since=2020-01-01T00:00:00Z&until=2040-01-01T00:00:00Z'),
      get('/api/search?identityPrefix=fuzz&domain=example.com&cursor=v1.2~v2.0'),
      get(
        `/api/search?issuer=https://example.com&key=${'ab'.repeat(32)}&serial=10a4&repository=a/b&commit=${'a'.repeat(40)}`,
      ),
    ],
    '/api/v1/log': [get('/api/v1/log')],
    '/api/v1/log/publicKey': [get('/api/v1/log/publicKey'), get('/api/v1/log/publicKey?treeID=1')],
    '/api/v1/log/proof': [
      get('/api/v1/log/proof?firstSize=1&lastSize=2'),
      get('/api/v1/log/proof?lastSize=2&treeID=3'),
    ],
    '/api/v1/log/entries': [
      get('/api/v1/log/entries?logIndex=0'),
      ...proposals.map((proposal) => json('/api/v1/log/entries', proposal)),
    ],
    '/api/v1/log/entries/{id}': [get(`/api/v1/log/entries/${id}`), get(`/api/v1/log/entries/${id.slice(16)}`)],
    '/api/v1/log/entries/retrieve': [
      json('/api/v1/log/entries/retrieve', { entryUUIDs: [id, id.slice(16)], logIndexes: [0, 1], entries: null }),
      json('/api/v1/log/entries/retrieve', { entries: proposals.slice(0, 8) }),
      json('/api/v1/log/entries/retrieve', { entries: proposals.slice(-3) }),
      json('/api/v1/log/entries/retrieve', { entries: [JSON.parse(atob(entry?.body ?? 'e30='))] }),
    ],
    '/api/v1/index/retrieve': [
      json('/api/v1/index/retrieve', { hash: `sha256:${'ab'.repeat(32)}`, email: 'fuzz@example.com', operator: 'or' }),
      json('/api/v1/index/retrieve', {
        publicKey: { format: 'x509', content: b64(PEM) },
        subject: 'x',
        operator: 'and',
      }),
    ],
    '/api/v2/log/entries': [
      ...KEYS.map((key) => json('/api/v2/log/entries', hashedRekordV2('fuzz', key))),
      json('/api/v2/log/entries', {
        hashedRekordRequestV002: {
          digest: b64(sha256(serializeUtf8('x'))),
          signature: {
            content: b64(sign(LEAF_KEY, serializeUtf8('x'))),
            verifier: {
              x509Certificate: { rawBytes: b64(ders[0] as Uint8Array) },
              keyDetails: 'PKIX_ECDSA_P256_SHA_256',
            },
          },
        },
      }),
      json('/api/v2/log/entries', {
        dsseRequestV002: {
          envelope: envelopeOf(STATEMENT, [KEY], STATEMENT_TYPE),
          verifiers: [{ publicKey: { rawBytes: b64(KEY.publicKey.spki) }, keyDetails: 'PKIX_ECDSA_P256_SHA_256' }],
        },
      }),
    ],
    '/checkpoint': [get('/checkpoint'), get('/api/v2/checkpoint')],
    '/tile/{path}': ['0/000.p/1', '0/000', 'entries/000.p/1', 'entries/x001/000', '63/x999/x999/999'].flatMap(
      (tile) => [get(`/tile/${tile}`), get(`/api/v2/tile/${tile}`)],
    ),
    '/ct/v1/add-chain': [json('/ct/v1/add-chain', chain)],
    '/ct/v1/add-pre-chain': [json('/ct/v1/add-pre-chain', chain)],
    '/ct/v1/get-sth': [get('/ct/v1/get-sth')],
    '/ct/v1/get-roots': [get('/ct/v1/get-roots')],
    '/ct/v1/get-sth-consistency': [get('/ct/v1/get-sth-consistency?first=1&second=1')],
    '/ct/v1/get-proof-by-hash': [
      get(`/ct/v1/get-proof-by-hash?hash=${encodeURIComponent(b64(new Uint8Array(32)))}&tree_size=1`),
    ],
    '/ct/v1/get-entries': [get('/ct/v1/get-entries?start=0&end=3')],
    '/ct/v1/get-entry-and-proof': [get('/ct/v1/get-entry-and-proof?leaf_index=0&tree_size=1')],
    '/api/v2/signingCert': [json('/api/v2/signingCert', signingRequest(idToken, 'a@example.com'))],
    '/api/v1/signingCert': [
      {
        ...json('/api/v1/signingCert', {
          publicKey: { content: b64(LEAF_KEY.publicKey.spki), algorithm: 'ecdsa' },
          signedEmailAddress: b64(sign(LEAF_KEY, serializeUtf8('b@example.com'))),
          certificateSigningRequest: null,
        }),
        token: expiredToken,
      } as Seed,
    ],
    '/api/v1/rootCert': [get('/api/v1/rootCert')],
    '/api/v2/trustBundle': [get('/api/v2/trustBundle')],
    '/api/v2/configuration': [get('/api/v2/configuration')],
    '/api/v1/timestamp': [
      ...timestamps.map(
        (body): Seed => ({
          method: 'POST',
          path: '/api/v1/timestamp',
          type: 'application/timestamp-query',
          body,
          shape: 'der',
        }),
      ),
      json('/api/v1/timestamp', {
        artifactHash: b64(sha256(new Uint8Array())),
        hashAlgorithm: 'sha256',
        nonce: 1123343434,
        certificates: true,
        tsaPolicyOID: '1.3.6.1.4.1.57264.2',
      }),
    ],
    '/api/v1/timestamp/certchain': [get('/api/v1/timestamp/certchain')],
    '/tuf/{file}': ['timestamp.json', '1.root.json', '2.root.json', '1.snapshot.json', 'targets/../1.root.json'].map(
      (name) => get(`/tuf/${name}`),
    ),
    '/oidc/.well-known/openid-configuration': [get('/oidc/.well-known/openid-configuration')],
    '/oidc/jwks': [get('/oidc/jwks')],
    '/oidc/authorize': [
      get(`/oidc/authorize?${new URLSearchParams(AUTHORIZE)}`),
      form('/oidc/authorize', { ...AUTHORIZE, email: 'a@example.com' }),
    ],
    '/oidc/token': [
      form('/oidc/token', {
        grant_type: 'authorization_code',
        code: 'x',
        code_verifier: 'y'.repeat(43),
        client_id: 'sigstore',
        redirect_uri: 'http://localhost:1/cb',
      }),
      form('/oidc/token', {
        grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
        device_code: 'x',
        client_id: 'sigstore',
      }),
    ],
    '/oidc/device/code': [form('/oidc/device/code', { client_id: 'sigstore', scope: 'openid email' })],
    '/oidc/device': [
      get('/oidc/device?user_code=ABCD-EFGH'),
      form('/oidc/device', { user_code: 'ABCD-EFGH', email: 'a@example.com' }),
    ],
    '/oidc/script/token': [
      json('/oidc/script/token', { email: 'a@example.com' }),
      form('/oidc/script/token', { email: 'a@example.com' }),
    ],
  };
}

/** Of a witness, and of the log that it watches. */
export async function witnessSeeds(url: string): Promise<Record<string, Seed[]>> {
  const checkpoint = await (await fetch(`${url}/checkpoint`)).text();
  const origin = serializeHex(sha256(serializeUtf8(checkpoint.split('\n')[0] ?? '')));
  const add = (text: string): Seed => ({
    method: 'POST',
    path: '/add-checkpoint',
    type: 'text/plain',
    body: serializeUtf8(text),
    shape: 'text',
  });
  return {
    '/healthz': [get('/healthz')],
    '/add-checkpoint': [add(`old 0\n\n${checkpoint}`), add(`old 1\n${b64(new Uint8Array(32))}\n\n${checkpoint}`)],
    '/{originHash}/checkpoint': [get(`/${origin}/checkpoint`)],
  };
}

const AUTHORIZE = {
  response_type: 'code',
  client_id: 'sigstore',
  scope: 'openid email',
  redirect_uri: 'http://localhost:1/cb',
  state: 's',
  nonce: 'n',
  code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  code_challenge_method: 'S256',
};
const OPENSSL = 'openssl';
const LEAF_KEY = generateKey('p256');

const signingRequest = (oidcIdentityToken: string, email: string): Json => ({
  credentials: { oidcIdentityToken },
  publicKeyRequest: {
    publicKey: { algorithm: 'ECDSA', content: serializePublicKeyPem(LEAF_KEY.publicKey) },
    proofOfPossession: b64(sign(LEAF_KEY, serializeUtf8(email))),
  },
});

async function issue(url: string, token: string): Promise<string[]> {
  const answer = await fetch(`${url}/api/v2/signingCert`, {
    method: 'POST',
    body: JSON.stringify(signingRequest(token, 'fuzz@example.com')),
    headers: { 'content-type': 'application/json' },
  });
  const { signedCertificateEmbeddedSct } = (await answer.json()) as {
    signedCertificateEmbeddedSct: { chain: { certificates: string[] } };
  };
  return signedCertificateEmbeddedSct.chain.certificates;
}

/** With nonce and certificate, and bare. */
function timestampRequests(): Uint8Array[] {
  const folder = mkdtempSync(join(tmpdir(), 'hallmark-endpoints-'));
  try {
    writeFileSync(join(folder, 'data'), 'data');
    return [['-cert'], ['-no_nonce'], ['-cert', '-sha512']].map((flags) => {
      const made = spawnSync(OPENSSL, ['ts', '-query', '-data', 'data', '-out', 'query', ...flags], { cwd: folder });
      if (made.status !== 0) throw new Error(`openssl ts: ${made.stderr}`);
      return new Uint8Array(readFileSync(join(folder, 'query')));
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

async function timestamp(url: string, query: Uint8Array): Promise<Uint8Array> {
  const answer = await fetch(`${url}/api/v1/timestamp`, {
    method: 'POST',
    body: Buffer.from(query),
    headers: { 'content-type': 'application/timestamp-query' },
  });
  if (!answer.ok) throw new Error(`no timestamp: ${answer.status}`);
  return new Uint8Array(await answer.arrayBuffer());
}

function proposalsWith(tsr: Uint8Array, leaf: string): Json[] {
  const proposal = (kind: string, apiVersion: string, spec: Json): Json => ({ kind, apiVersion, spec });
  const signed = envelopeOf(STATEMENT, [KEY, OTHER], STATEMENT_TYPE);
  const verifiers = [KEY, OTHER].map((key) => b64(serializePublicKeyPem(key.publicKey)));
  const signatures = signed.signatures.map(({ sig }, i) => ({
    sig: b64(sig),
    publicKey: verifiers[i] as string,
    keyid: 'k',
  }));
  return [
    ...KEYS.map((key) => hashedRekordV1('fuzz', key)),
    hashedRekordV1('fuzz', LEAF_KEY, { publicKey: leaf }),
    proposal('dsse', '0.0.1', { proposedContent: { envelope: JSON.stringify(signed), verifiers } }),
    proposal('intoto', '0.0.1', { content: { envelope: JSON.stringify(signed) }, publicKey: b64(PEM) }),
    proposal('intoto', '0.0.2', {
      content: {
        envelope: { payload: b64(b64(STATEMENT)), payloadType: STATEMENT_TYPE, signatures },
        hash: { algorithm: 'sha256', value: 'ab'.repeat(32) },
      },
    }),
    proposal('rekord', '0.0.1', {
      data: { content: b64('fuzz'), hash: { algorithm: 'sha256', value: serializeHex(sha256(serializeUtf8('fuzz'))) } },
      signature: { format: 'x509', content: b64(sign(KEY, serializeUtf8('fuzz'))), publicKey: { content: b64(PEM) } },
    }),
    // Large enough to be read on a thread of its own.
    proposal('rekord', '0.0.1', {
      data: { content: b64(LARGE) },
      signature: { format: 'x509', content: b64(sign(KEY, LARGE)), publicKey: { content: b64(PEM) } },
    }),
    proposal('rfc3161', '0.0.1', { tsr: { content: b64(tsr) } }),
  ];
}
