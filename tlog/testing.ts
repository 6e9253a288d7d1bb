import { serializeBase64, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { keyDetailsFor } from '../core/crypto/algorithms.ts';
import { generateKey, type PrivateKey, sign, streamSigner } from '../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../core/crypto/public-key.ts';
import { preAuthEncoding } from '../core/dsse/envelope.ts';
import { NO_HISTORY, type RotatedLog, type ShardHistories } from '../core/instance/shard-history.ts';
import { createMetrics } from '../core/metrics.ts';
import type { Certificate } from '../core/x509/certificate.ts';
import { createMemoryDisk, createMemoryStore, type FaultyStore, type MemoryDisk } from './testing-store.ts';
import { openTransparencyLog, type TransparencyLog, type TransparencyLogOptions } from './transparency-log.ts';

/** Test only: the instant at which everything happens. */
export const NOW = new Date('2026-03-01T12:00:00.500Z');
/** Test only: keys of the logs, the same for all tests of a file. */
export const LOG_KEYS = { v1: generateKey('p256'), v2: generateKey('ed25519'), ct: generateKey('p256') };

const shardKeys = new Map<string, PrivateKey>();
/** Test only: the key of a shard, made once. */
export function testShardKey(log: RotatedLog, number: number): PrivateKey {
  const name = `${log} ${number}`;
  const key = shardKeys.get(name) ?? generateKey(log === 'v1' ? 'p256' : 'ed25519');
  shardKeys.set(name, key);
  return key;
}

export interface TestLog extends TransparencyLog {
  readonly store: FaultyStore;
  readonly faults: unknown[];
  /** A request to any URL. */
  readonly ask: (url: string, init?: RequestInit) => Promise<Response>;
  readonly get: (path: string, method?: string, headers?: Record<string, string>) => Promise<Response>;
  readonly post: (path: string, body: Json | Uint8Array | string) => Promise<Response>;
}

/** Test only: all three logs over memory, asked without a socket. */
export async function openTestLog(
  options: {
    disk?: MemoryDisk;
    publicUrl?: string;
    ctRoots?: readonly Certificate[];
    clock?: () => Date;
    keys?: Partial<TransparencyLogOptions['keys']>;
    history?: ShardHistories;
  } = {},
): Promise<TestLog> {
  const store = createMemoryStore(options.disk ?? createMemoryDisk());
  const faults: unknown[] = [];
  let drawn = 0;
  const log = await openTransparencyLog(store, {
    keys: { ...LOG_KEYS, ...options.keys },
    ctRoots: options.ctRoots ?? [],
    publicUrl: options.publicUrl ?? 'http://log.example:8080',
    clock: options.clock ?? (() => NOW),
    random: (bytes) => new Uint8Array(bytes).fill(0x5a + drawn++),
    metrics: createMetrics(),
    entryRate: { perMinute: 60, burst: 2 },
    history: options.history ?? NO_HISTORY,
    shardKey: testShardKey,
    onFault: (error) => faults.push(error),
    onIndexFault: (error) => faults.push(error),
  });
  const askAt = async (target: string, init: RequestInit = {}): Promise<Response> => {
    const request = new Request(target, init);
    const response = log.handle(request, new URL(request.url), { address: '127.0.0.1', loopback: true });
    if (!response) throw new Error(`no route for ${target}`);
    return response;
  };
  const ask = (path: string, init: RequestInit): Promise<Response> => askAt(`http://log.example:8080${path}`, init);
  return {
    ...log,
    store,
    faults,
    ask: askAt,
    get: (path, method = 'GET', headers = {}) => ask(path, { method, headers }),
    post: (path, body) =>
      ask(path, {
        method: 'POST',
        body: typeof body === 'string' ? body : body instanceof Uint8Array ? Buffer.from(body) : JSON.stringify(body),
      }),
  };
}

/** Test only: an artifact of this text, signed over its digest (Ed25519: Ed25519ph). */
export function signedDigest(text: string, key: PrivateKey) {
  const signer = streamSigner(key);
  signer.update(serializeUtf8(text));
  return signer.finish();
}

/** Test only: a proposal to Rekor v1, with `change` to spoil parts of it. */
export function hashedRekordV1(text: string, key: PrivateKey, change: Partial<Record<string, string>> = {}): Json {
  const { digest: value, hash, signature } = signedDigest(text, key);
  return {
    apiVersion: change['apiVersion'] ?? '0.0.1',
    kind: change['kind'] ?? 'hashedrekord',
    spec: {
      data: { hash: { algorithm: change['algorithm'] ?? hash, value: change['value'] ?? serializeHex(value) } },
      signature: {
        content: change['signature'] ?? serializeBase64(signature),
        publicKey: {
          content: serializeBase64(serializeUtf8(change['publicKey'] ?? serializePublicKeyPem(key.publicKey))),
        },
      },
    },
  };
}

/** Test only: a request to Rekor v2. */
export function hashedRekordV2(text: string, key: PrivateKey, change: Partial<Record<string, string>> = {}): Json {
  const { digest: value, signature } = signedDigest(text, key);
  return {
    hashedRekordRequestV002: {
      digest: change['digest'] ?? serializeBase64(value),
      signature: {
        content: change['signature'] ?? serializeBase64(signature),
        verifier: {
          publicKey: { rawBytes: change['publicKey'] ?? serializeBase64(key.publicKey.spki) },
          keyDetails: change['keyDetails'] ?? keyDetailsFor(key.publicKey, 'digest'),
        },
      },
    },
  };
}

/** Test only: an envelope with one signature by each key. */
export function envelopeOf(payload: string, keys: readonly PrivateKey[], payloadType = 'text/plain') {
  const signed = preAuthEncoding(payloadType, serializeUtf8(payload));
  return {
    payload: serializeBase64(serializeUtf8(payload)),
    payloadType,
    signatures: keys.map((key) => ({ sig: serializeBase64(sign(key, signed)) })),
  };
}

/** Test only: the JSON of an answer, as the test says it is. */
export async function jsonOf<T>(response: Response): Promise<T> {
  return (await response.json()) as T;
}
