import { serializeBase64, serializeUtf8 } from '../bytes/bytes.ts';
import type { Json } from '../bytes/json.ts';

/** Test only: JSON with members that can be changed. */
export type JsonObject = { [member: string]: Json };

const text = (value: string): string => serializeBase64(serializeUtf8(value));
const hash = (byte: number): string => serializeBase64(new Uint8Array(32).fill(byte));

/** Test only: a log entry with everything, none of it genuine. */
export const sampleEntry = (): JsonObject => ({
  logIndex: '1000',
  logId: { keyId: hash(1) },
  kindVersion: { kind: 'hashedrekord', version: '0.0.1' },
  integratedTime: '1700000000',
  inclusionPromise: { signedEntryTimestamp: text('promise') },
  inclusionProof: {
    logIndex: '10',
    rootHash: hash(2),
    treeSize: '12',
    hashes: [hash(3), hash(4)],
    checkpoint: { envelope: 'log.example\n12\n' },
  },
  canonicalizedBody: text('{}'),
});

export const sampleMessage = (): JsonObject => ({
  messageDigest: { algorithm: 'SHA2_256', digest: hash(5) },
  signature: text('signature'),
});

export const sampleEnvelope = (): JsonObject => ({
  payload: text('{}'),
  payloadType: 'application/vnd.in-toto+json',
  signatures: [{ sig: text('signature'), keyid: 'key' }],
});

/** Test only: a bundle of version 0.3 in canonical member order, for the parser only. */
export const sampleBundle = (content: JsonObject = { messageSignature: sampleMessage() }): JsonObject => ({
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  verificationMaterial: {
    certificate: { rawBytes: text('certificate') },
    tlogEntries: [sampleEntry()],
    timestampVerificationData: { rfc3161Timestamps: [{ signedTimestamp: text('timestamp') }] },
  },
  ...content,
});

/** Test only: the value with the member or element at the path replaced, or left out if `value` is undefined. */
export function withChange(json: Json, path: readonly string[], value: Json | undefined): Json {
  const [key, ...rest] = path;
  if (key === undefined) throw new Error('an empty path');
  const copy: Json[] | JsonObject = Array.isArray(json) ? [...json] : { ...(json as JsonObject) };
  const members = copy as JsonObject;
  if (rest.length > 0) members[key] = withChange(members[key] as Json, rest, value);
  else if (value !== undefined) members[key] = value;
  else if (Array.isArray(copy)) copy.splice(Number(key), 1);
  else delete members[key];
  return copy;
}

/** Test only: the paths of all members and elements. */
export function pathsOf(json: Json): string[][] {
  if (json === null || typeof json !== 'object') return [];
  return Object.entries(json).flatMap(([key, value]) => [[key], ...pathsOf(value).map((path) => [key, ...path])]);
}
