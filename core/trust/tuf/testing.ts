import { expect } from 'bun:test';
import { serializeHex, serializeUtf8 } from '../../bytes/bytes.ts';
import type { Json } from '../../bytes/json.ts';
import { sha256 } from '../../crypto/hash.ts';
import { generateKey, type PrivateKey, sign } from '../../crypto/private-key.ts';
import type { ErrorCode } from '../../errors.ts';
import type { FetchLike } from '../../http/client.ts';
import { fakeHttp } from '../../http/testing.ts';
import { canonicalizeTufJson } from './canonical-json.ts';
import { type TufStore, type TufUpdate, updateTuf } from './client.ts';
import { serializeTufKey } from './keys.ts';
import { mirrorAt } from './mirror.ts';

// Test only: repositories whose every part can be wrong by itself, and a client for them.

const URL_BASE = 'http://mirror.test/tuf';
export const NOW = new Date('2026-06-01T00:00:00Z');
export const FUTURE = '2026-07-01T00:00:00Z';
export const PAST = '2026-05-31T23:59:59Z';

export const ROOT_KEY = generateKey('p256');
// Ed25519 signs the same twice and with one length: two builds of a repository differ only where they are meant to.
export const ONLINE = generateKey('ed25519');
export const OTHER = generateKey('p256');

export const signed = (json: Json, ...keys: PrivateKey[]): Uint8Array => {
  const message = serializeUtf8(canonicalizeTufJson(json));
  const signatures = keys.map((key) => ({
    keyid: serializeTufKey(key.publicKey).keyid,
    sig: serializeHex(sign(key, message)),
  }));
  return serializeUtf8(JSON.stringify({ signatures, signed: json }));
};
export const metadata = (_type: string, version: number, expires: string, body: Record<string, Json>): Json => ({
  _type,
  spec_version: '1.0.31',
  version,
  expires,
  ...body,
});
export const hashOf = (bytes: Uint8Array): string => serializeHex(sha256(bytes));

interface RootShape {
  version?: number;
  expires?: string;
  root?: PrivateKey;
  online?: PrivateKey;
  signers?: PrivateKey[];
}

export function rootFile({
  version = 1,
  expires = FUTURE,
  root = ROOT_KEY,
  online = ONLINE,
  signers = [root],
}: RootShape): Uint8Array {
  const id = (key: PrivateKey): string => serializeTufKey(key.publicKey).keyid;
  const role = (key: PrivateKey): Json => ({ keyids: [id(key)], threshold: 1 });
  const body = {
    consistent_snapshot: true,
    keys: Object.fromEntries([root, online].map((key) => [id(key), serializeTufKey(key.publicKey).json])),
    roles: { root: role(root), timestamp: role(online), snapshot: role(online), targets: role(online) },
  };
  return signed(metadata('root', version, expires, body), ...signers);
}

/** A repository whose every part can be wrong by itself. */
export interface Shape {
  roots?: Uint8Array[];
  timestamp?: { version?: number; expires?: string; key?: PrivateKey };
  snapshot?: { version?: number; expires?: string; key?: PrivateKey; meta?: Record<string, Json> };
  targets?: { version?: number; expires?: string; key?: PrivateKey; list?: Record<string, Json> };
  content?: string;
  /** Leaves out lengths and hashes of metadata files, which are optional. */
  bare?: boolean;
}

export type Files = Map<string, Uint8Array>;

export function repository(shape: Shape = {}): Files {
  const files: Files = new Map();
  for (const [i, bytes] of (shape.roots ?? [rootFile({})]).entries()) files.set(`${i + 1}.root.json`, bytes);
  const content = serializeUtf8(shape.content ?? 'content');
  files.set(`targets/${hashOf(content)}.a.json`, content);
  const meta = (version: number, bytes: Uint8Array): Json =>
    shape.bare ? { version } : { version, length: bytes.length, hashes: { sha256: hashOf(bytes) } };

  const t = { version: 1, expires: FUTURE, key: ONLINE, ...shape.targets };
  const list = t.list ?? { 'a.json': { length: content.length, hashes: { sha256: hashOf(content) } } };
  const targets = signed(metadata('targets', t.version, t.expires, { targets: list }), t.key);
  files.set(`${t.version}.targets.json`, targets);

  const s = { version: 1, expires: FUTURE, key: ONLINE, ...shape.snapshot };
  const snapshotMeta = s.meta ?? { 'targets.json': meta(t.version, targets) };
  const snapshot = signed(metadata('snapshot', s.version, s.expires, { meta: snapshotMeta }), s.key);
  files.set(`${s.version}.snapshot.json`, snapshot);

  const m = { version: 1, expires: FUTURE, key: ONLINE, ...shape.timestamp };
  const timestampMeta = { 'snapshot.json': meta(s.version, snapshot) };
  files.set('timestamp.json', signed(metadata('timestamp', m.version, m.expires, { meta: timestampMeta }), m.key));
  return files;
}

export const mirror =
  (files: Files): FetchLike =>
  async (url) => {
    const bytes = files.get(url.slice(URL_BASE.length + 1));
    return bytes === undefined ? new Response('no', { status: 404 }) : new Response(Uint8Array.from(bytes));
  };

export function memory(): TufStore & { files: Map<string, Uint8Array> } {
  const files = new Map<string, Uint8Array>();
  return { files, read: (name) => files.get(name), write: (name, bytes) => files.set(name, bytes) };
}

interface Run {
  store?: TufStore;
  root?: Uint8Array;
  targets?: string[];
  now?: Date;
  fetch?: FetchLike;
  url?: string;
}

export function update(
  files: Files,
  { store = memory(), root, targets = ['a.json'], now = NOW, fetch, url = URL_BASE }: Run = {},
): Promise<TufUpdate> {
  const trustedRootBytes = root ?? (files.get('1.root.json') as Uint8Array);
  const http = fakeHttp(fetch ?? mirror(files), now);
  return updateTuf({ mirror: mirrorAt(http, url), url, trustedRootBytes, store, now, targets });
}

export const reject = async (run: Promise<unknown>, code: ErrorCode): Promise<void> => {
  await expect(run).rejects.toThrow(expect.objectContaining({ code }));
};
export const text = (bytes: Uint8Array | undefined): string => new TextDecoder().decode(bytes);
