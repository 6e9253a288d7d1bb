// Requests for the load: what they ask, what is kept of the answers, and what counts as a refusal that is allowed.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, randomInt, sign } from 'node:crypto';
import { leafHash } from '../crash/rfc6962.ts';
import {
  type LogEntry,
  type Promises,
  promisedV1,
  type TransparencyLogEntry,
  type TreeHead,
} from '../crash/signing.ts';

/** One in so many acknowledged entries and certificates is kept whole, with its proof. */
const KEPT_WHOLE = 20;
/** How long any answer may take, ms. */
const PATIENCE_MS = 30_000;

export interface Totals {
  readonly byRoute: Map<string, { answers: number; refused: number; slowestMs: number }>;
  readonly unexpected: string[];
}

export interface Client {
  readonly made: Promises;
  readonly totals: Totals;
  /** A request that may be refused with 503 and Retry-After; undefined then, and for what else the status says in `fine`. */
  ask(route: string, path: string, init?: RequestInit, fine?: readonly number[]): Promise<Response | undefined>;
  postV1(key: Signer): Promise<void>;
  postV2(key: Signer): Promise<void>;
  postTimestamp(): Promise<void>;
  issue(tokenEndpoint: string, email: string): Promise<Signer | undefined>;
  readSomething(): Promise<void>;
}

/** A key that signs entries, with what verifies it. */
export interface Signer {
  readonly key: KeyObject;
  /** PEM of the key or certificate, and its DER. */
  readonly pem: string;
  readonly der: Buffer;
  readonly isCertificate: boolean;
}

export function newSigner(): Signer {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  return {
    key: privateKey,
    pem: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    der: publicKey.export({ type: 'spki', format: 'der' }),
    isCertificate: false,
  };
}

export function createClient(url: string, made: Promises): Client {
  const totals: Totals = { byRoute: new Map(), unexpected: [] };
  let counter = 0;
  const whole = (): boolean => counter++ % KEPT_WHOLE === 0;
  const json = (body: unknown): RequestInit => ({
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

  async function ask(
    route: string,
    path: string,
    init: RequestInit = {},
    fine: readonly number[] = [],
  ): Promise<Response | undefined> {
    const seen = totals.byRoute.get(route) ?? { answers: 0, refused: 0, slowestMs: 0 };
    totals.byRoute.set(route, seen);
    const started = performance.now();
    try {
      const response = await fetch(`${url}${path}`, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) });
      seen.slowestMs = Math.max(seen.slowestMs, performance.now() - started);
      if (response.ok) {
        seen.answers++;
        return response;
      }
      const text = await response.text();
      if (response.status === 503 && response.headers.has('retry-after')) seen.refused++;
      else if (fine.includes(response.status)) seen.answers++;
      else totals.unexpected.push(`${route}: ${response.status} ${text.slice(0, 200)}`);
    } catch (error) {
      totals.unexpected.push(`${route}: ${String(error)}`);
    }
    return undefined;
  }

  function signed(signer: Signer) {
    const artifact = randomBytes(32);
    const signature = sign('sha256', artifact, signer.key).toString('base64');
    return { digest: createHash('sha256').update(artifact).digest(), signature };
  }

  async function postV1(signer: Signer): Promise<void> {
    const { digest, signature } = signed(signer);
    const request = {
      apiVersion: '0.0.1',
      kind: 'hashedrekord',
      spec: {
        signature: { content: signature, publicKey: { content: Buffer.from(signer.pem).toString('base64') } },
        data: { hash: { algorithm: 'sha256', value: digest.toString('hex') } },
      },
    };
    const response = await ask('POST v1', '/api/v1/log/entries', json(request));
    if (!response) return;
    const [entry] = Object.values((await response.json()) as Record<string, LogEntry>);
    if (!entry) throw new Error('an acknowledgement without an entry');
    const promised = promisedV1(entry);
    if (whole()) made.v1.push({ ...promised, digest: digest.toString('base64'), signature, request });
    else made.acknowledged.v1.set(promised.index, leafHash(promised.body).toString('hex'));
  }

  async function postV2(signer: Signer): Promise<void> {
    const { digest, signature } = signed(signer);
    const rawBytes = signer.der.toString('base64');
    const verifier = signer.isCertificate ? { x509Certificate: { rawBytes } } : { publicKey: { rawBytes } };
    const request = {
      hashedRekordRequestV002: {
        digest: digest.toString('base64'),
        signature: { content: signature, verifier: { ...verifier, keyDetails: 'PKIX_ECDSA_P256_SHA_256' } },
      },
    };
    const response = await ask('POST v2', '/api/v2/log/entries', json(request));
    if (!response) return;
    const entry = (await response.json()) as TransparencyLogEntry;
    const body = Buffer.from(entry.canonicalizedBody, 'base64');
    const index = Number(entry.logIndex);
    if (!whole()) {
      made.acknowledged.v2.set(index, leafHash(body).toString('hex'));
      return;
    }
    made.v2.push({
      index,
      body,
      hashes: entry.inclusionProof.hashes.map((hash) => Buffer.from(hash, 'base64')),
      checkpoint: entry.inclusionProof.checkpoint.envelope,
      digest: digest.toString('base64'),
      signature,
      request,
    });
  }

  async function postTimestamp(): Promise<void> {
    const digest = randomBytes(32);
    const request = { artifactHash: digest.toString('base64'), hashAlgorithm: 'sha256', certificates: true };
    const response = await ask('POST timestamp', '/api/v1/timestamp', json(request));
    if (!response) return;
    const answer = Buffer.from(await response.arrayBuffer());
    // A TimeStampResp that is granted, over this digest.
    if (!answer.includes(Buffer.from('3003020100', 'hex')) || !answer.includes(digest)) {
      totals.unexpected.push('a timestamp that is not of what was asked');
    }
  }

  async function issue(tokenEndpoint: string, email: string): Promise<Signer | undefined> {
    const token = await ask('POST token', new URL(tokenEndpoint).pathname, json({ email }));
    if (!token) return undefined;
    const { id_token } = (await token.json()) as { id_token: string };
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const response = await ask(
      'POST certificate',
      '/api/v2/signingCert',
      json({
        credentials: { oidcIdentityToken: id_token },
        publicKeyRequest: {
          publicKey: { algorithm: 'ECDSA', content: publicKey.export({ type: 'spki', format: 'pem' }) },
          proofOfPossession: sign('sha256', Buffer.from(email), privateKey).toString('base64'),
        },
      }),
    );
    if (!response) return undefined;
    const issued = (await response.json()) as { signedCertificateEmbeddedSct: { chain: { certificates: string[] } } };
    const [leaf = '', issuer = ''] = issued.signedCertificateEmbeddedSct.chain.certificates;
    if (whole()) made.certificates.push({ leaf, issuer });
    const der = Buffer.from(leaf.replace(/-----[^-]+-----|\s/g, ''), 'base64');
    return { key: privateKey, pem: leaf, der, isCertificate: true };
  }

  const known = <T>(items: readonly T[]): T | undefined => items[randomInt(Math.max(1, items.length))];
  const reads: (() => Promise<void>)[] = [
    async () => {
      const response = await ask('GET v1 log', '/api/v1/log');
      const info = (await response?.json()) as { signedTreeHead: string } | undefined;
      if (info) made.v1Checkpoints.push(info.signedTreeHead);
    },
    async () => {
      const checkpoint = await (await ask('GET checkpoint', '/checkpoint'))?.text();
      if (checkpoint !== undefined) made.v2Checkpoints.push(checkpoint);
    },
    async () => {
      const head = (await (await ask('GET sth', '/ct/v1/get-sth'))?.json()) as TreeHead | undefined;
      if (!head) return;
      made.treeHeads.push(head);
      await (
        await ask('GET ct entries', `/ct/v1/get-entries?start=0&end=${Math.min(20, head.tree_size - 1)}`, {}, [400])
      )?.text();
    },
    async () => {
      const entry = known(made.v1);
      if (!entry) return;
      const answer = (await (await ask('GET v1 entry', `/api/v1/log/entries?logIndex=${entry.index}`))?.json()) as
        | Record<string, LogEntry>
        | undefined;
      const [found] = Object.values(answer ?? {});
      if (found && !promisedV1(found).body.equals(entry.body)) totals.unexpected.push('another entry at its index');
    },
    async () => {
      const entry = known(made.v1);
      if (entry)
        await (await ask('GET v1 by UUID', `/api/v1/log/entries/${leafHash(entry.body).toString('hex')}`))?.text();
    },
    async () => {
      const entry = known(made.v1);
      if (!entry) return;
      const query = `firstSize=1&lastSize=${entry.index + 1}`;
      await (await ask('GET v1 proof', `/api/v1/log/proof?${query}`))?.text();
    },
    async () => {
      const entry = known(made.v2);
      if (!entry) return;
      // The tile as it was when the entry was the last one of it.
      const path = `${Math.floor(entry.index / 256)}`.padStart(3, '0');
      if (entry.index < 256_000)
        await (
          await ask('GET entry bundle', `/tile/entries/${path}.p/${(entry.index % 256) + 1}`, {}, [404])
        )?.arrayBuffer();
    },
    async () => {
      const entry = known(made.v1);
      if (!entry) return;
      const hash = `sha256:${Buffer.from(entry.digest, 'base64').toString('hex')}`;
      const found = (await (await ask('POST index', '/api/v1/index/retrieve', json({ hash })))?.json()) as
        | string[]
        | undefined;
      if (found && !found.some((id) => id.endsWith(leafHash(entry.body).toString('hex')))) {
        totals.unexpected.push(`the search does not find entry ${entry.index}`);
      }
    },
    async () => {
      const entry = known(made.v2);
      if (!entry) return;
      const digest = Buffer.from(entry.digest, 'base64').toString('hex');
      await (await ask('GET search', `/api/search?digest=sha256:${digest}`))?.text();
    },
  ];

  return {
    made,
    totals,
    ask,
    postV1,
    postV2,
    postTimestamp,
    issue,
    readSomething: () => (reads[randomInt(reads.length)] as () => Promise<void>)(),
  };
}
