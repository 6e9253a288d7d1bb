// One signing, as a client does it over HTTP: token, certificate, then an entry in each log. Whatever the server
// acknowledged is written down the moment the answer is complete.
import { createHash, generateKeyPairSync, randomBytes, sign, X509Certificate } from 'node:crypto';
import { ask } from './http.ts';

export interface Promised {
  readonly index: number;
  readonly body: Buffer;
  readonly hashes: readonly Buffer[];
  readonly checkpoint: string;
  /** The digest and signature that were submitted, both in base64, and the request itself. */
  readonly digest: string;
  readonly signature: string;
  readonly request: unknown;
}

export interface TreeHead {
  readonly tree_size: number;
  readonly timestamp: number;
  readonly sha256_root_hash: string;
  readonly tree_head_signature: string;
}

/** Everything a server has promised, over all its lives. */
export interface Promises {
  readonly v1: Promised[];
  readonly v2: Promised[];
  readonly certificates: { readonly leaf: string; readonly issuer: string }[];
  readonly v1Checkpoints: string[];
  readonly v2Checkpoints: string[];
  readonly treeHeads: TreeHead[];
  /** What was acknowledged without being kept whole: the leaf hash, in hexadecimal, by index. */
  readonly acknowledged: { readonly v1: Map<number, string>; readonly v2: Map<number, string> };
  /** Answers of a living server that were not 2xx. */
  readonly refusals: string[];
}

export const noPromises = (): Promises => ({
  v1: [],
  v2: [],
  certificates: [],
  v1Checkpoints: [],
  v2Checkpoints: [],
  treeHeads: [],
  acknowledged: { v1: new Map(), v2: new Map() },
  refusals: [],
});

export interface Target {
  readonly url: string;
  readonly tokenEndpoint: string;
}

class Refused extends Error {}

/** Signs once. Ends early, without an error, when the server goes away. `acknowledged` is called at every promise. */
export async function signOnce(target: Target, email: string, made: Promises, acknowledged: () => void): Promise<void> {
  const submit = async <T>(path: string, json: unknown): Promise<T> => {
    const { status, body } = await ask(new URL(path, target.url).href, json);
    if (status >= 200 && status < 300) return JSON.parse(body.toString()) as T;
    made.refusals.push(`${path} answered ${status}: ${body.toString().slice(0, 200)}`);
    throw new Refused();
  };
  try {
    const { id_token } = await submit<{ id_token: string }>(target.tokenEndpoint, { email });
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
    const issued = await submit<{ signedCertificateEmbeddedSct: { chain: { certificates: string[] } } }>(
      '/api/v2/signingCert',
      {
        credentials: { oidcIdentityToken: id_token },
        publicKeyRequest: {
          publicKey: { algorithm: 'ECDSA', content: publicKey.export({ type: 'spki', format: 'pem' }) },
          proofOfPossession: sign('sha256', Buffer.from(email), privateKey).toString('base64'),
        },
      },
    );
    const [leaf = '', issuer = ''] = issued.signedCertificateEmbeddedSct.chain.certificates;
    made.certificates.push({ leaf, issuer });
    acknowledged();

    const artifact = randomBytes(64);
    const digest = createHash('sha256').update(artifact).digest();
    const signature = sign('sha256', artifact, privateKey).toString('base64');
    const rawBytes = new X509Certificate(leaf).raw.toString('base64');
    await Promise.all([
      submitV1(submit, leaf, digest, signature, made).then(acknowledged),
      submitV2(submit, { x509Certificate: { rawBytes } }, digest, signature, made).then(acknowledged),
    ]);
  } catch (error) {
    if (!(error instanceof Refused)) requireGone(error);
  }
}

/** What a client meets when the server was killed; anything else is a fault of the test. */
function requireGone(error: unknown): void {
  const gone = (error as NodeJS.ErrnoException).code !== undefined || /aborted|hang up|closed/.test(String(error));
  if (!gone) throw error;
}

/**
 * Appends to both logs with a key, one entry after the other, until the server goes away or `stop` says so. A 503 is the
 * server's right and counted; any other refusal is a finding.
 */
export async function appendUntilGone(
  url: string,
  made: Promises,
  stop: () => boolean = () => false,
): Promise<{ refused: number }> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const pem = publicKey.export({ type: 'spki', format: 'pem' }) as string;
  const rawBytes = publicKey.export({ type: 'spki', format: 'der' }).toString('base64');
  let refused = 0;
  const submit = async <T>(path: string, json: unknown): Promise<T> => {
    const { status, body } = await ask(new URL(path, url).href, json);
    if (status >= 200 && status < 300) return JSON.parse(body.toString()) as T;
    if (status === 503) refused += 1;
    else made.refusals.push(`${path} answered ${status}: ${body.toString().slice(0, 200)}`);
    throw new Refused();
  };
  while (!stop()) {
    const artifact = randomBytes(64);
    const digest = createHash('sha256').update(artifact).digest();
    const signature = sign('sha256', artifact, privateKey).toString('base64');
    try {
      await Promise.all([
        submitV1(submit, pem, digest, signature, made),
        submitV2(submit, { publicKey: { rawBytes } }, digest, signature, made),
      ]);
    } catch (error) {
      if (error instanceof Refused) continue;
      requireGone(error);
      break;
    }
  }
  return { refused };
}

type Submit = <T>(path: string, json: unknown) => Promise<T>;

async function submitV1(submit: Submit, pem: string, digest: Buffer, signature: string, made: Promises): Promise<void> {
  const request = {
    apiVersion: '0.0.1',
    kind: 'hashedrekord',
    spec: {
      signature: { content: signature, publicKey: { content: Buffer.from(pem).toString('base64') } },
      data: { hash: { algorithm: 'sha256', value: digest.toString('hex') } },
    },
  };
  const [entry] = Object.values(await submit<Record<string, LogEntry>>('/api/v1/log/entries', request));
  if (!entry) throw new Error('an acknowledgement without an entry');
  made.v1.push({ ...promisedV1(entry), digest: digest.toString('base64'), signature, request });
}

export interface LogEntry {
  readonly body: string;
  readonly logIndex: number;
  readonly verification: { readonly inclusionProof: { readonly hashes: string[]; readonly checkpoint: string } };
}

export const promisedV1 = (entry: LogEntry): Pick<Promised, 'index' | 'body' | 'hashes' | 'checkpoint'> => ({
  index: entry.logIndex,
  body: Buffer.from(entry.body, 'base64'),
  hashes: entry.verification.inclusionProof.hashes.map((hash) => Buffer.from(hash, 'hex')),
  checkpoint: entry.verification.inclusionProof.checkpoint,
});

export interface TransparencyLogEntry {
  readonly logIndex: string;
  readonly inclusionProof: { readonly hashes: string[]; readonly checkpoint: { readonly envelope: string } };
  readonly canonicalizedBody: string;
}

async function submitV2(
  submit: Submit,
  verifier: { x509Certificate: { rawBytes: string } } | { publicKey: { rawBytes: string } },
  digest: Buffer,
  signature: string,
  made: Promises,
): Promise<void> {
  const request = {
    hashedRekordRequestV002: {
      digest: digest.toString('base64'),
      signature: { content: signature, verifier: { ...verifier, keyDetails: 'PKIX_ECDSA_P256_SHA_256' } },
    },
  };
  const entry = await submit<TransparencyLogEntry>('/api/v2/log/entries', request);
  made.v2.push({
    index: Number(entry.logIndex),
    body: Buffer.from(entry.canonicalizedBody, 'base64'),
    hashes: entry.inclusionProof.hashes.map((hash) => Buffer.from(hash, 'base64')),
    checkpoint: entry.inclusionProof.checkpoint.envelope,
    digest: digest.toString('base64'),
    signature,
    request,
  });
}

/** Collects what all three logs say of their trees, until the server goes away. */
export async function watch(target: Target, made: Promises): Promise<void> {
  try {
    for (;;) {
      const [v1, v2, ct] = await Promise.all(
        ['/api/v1/log', '/api/v2/checkpoint', '/ct/v1/get-sth'].map((path) => ask(`${target.url}${path}`)),
      );
      for (const answer of [v1, v2, ct]) {
        if (answer?.status !== 200) made.refusals.push(`a tree head was answered ${answer?.status}`);
      }
      made.v1Checkpoints.push((JSON.parse(String(v1?.body)) as { signedTreeHead: string }).signedTreeHead);
      made.v2Checkpoints.push(String(v2?.body));
      made.treeHeads.push(JSON.parse(String(ct?.body)) as TreeHead);
      await Bun.sleep(5);
    }
  } catch {
    // Killed: what was read before stays.
  }
}
