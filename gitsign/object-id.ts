import { createHash } from 'node:crypto';
import { concat, serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { headersEnd, insertHeader, joinObject, type ObjectFormat, payloadKind, type SignedKind } from './object.ts';

/** Every kind of object that a repository has. */
export type ObjectKind = SignedKind | 'tree' | 'blob';

/** The name of an object: hash over its kind, its length and its body (gitformat), in lower-case hexadecimal. */
export function objectId(kind: ObjectKind, body: Uint8Array, format: ObjectFormat): string {
  const header = serializeUtf8(`${kind} ${body.length}\0`);
  return serializeHex(createHash(format).update(header).update(body).digest());
}

/** The format of the repository that a payload is from, told by the length of the first object ID in it. */
export function payloadFormat(payload: Uint8Array): ObjectFormat {
  const first = Buffer.from(payload.buffer, payload.byteOffset, Math.min(payload.length, 128)).toString('latin1');
  return /^(?:tree|object) [0-9a-f]{64}\n/.test(first) ? 'sha256' : 'sha1';
}

/**
 * The object ID that a signature is logged under in gitsign's online mode: that of the object as git writes it. In a SHA-256
 * repository it is that of the same bytes in SHA-1 and with SHA-1's header, which is what gitsign looks for. Undefined for what
 * is no object, as a push certificate.
 */
export function loggedObjectId(payload: Uint8Array, armor: Uint8Array): string | undefined {
  const joined = joinObject(payload, armor, 'sha1');
  return joined && objectId(joined.kind, joined.body, 'sha1');
}

/**
 * Every ID that a version of gitsign may have logged a signature under, and the one that Hallmark logs first: versions before
 * 0.16 encoded the object anew, those before 0.2 took a tag for a commit, 0.16 gave a tag the header of a commit.
 */
export function loggedObjectIds(payload: Uint8Array, armor: Uint8Array): string[] {
  const ids = [loggedObjectId(payload, armor)];
  for (const format of ['sha1', 'sha256'] as const) {
    const joined = joinObject(payload, armor, format);
    ids.push(joined && objectId(joined.kind, joined.body, payloadFormat(payload)));
  }
  if (payloadKind(payload) === 'commit') {
    ids.push(objectId('commit', insertHeader(withoutOtherHeaders(payload), 'gpgsig', armor), 'sha1'));
  } else if (payloadKind(payload) === 'tag') {
    ids.push(objectId('tag', insertHeader(payload, 'gpgsig', armor), 'sha1'));
    ids.push(objectId('commit', insertHeader(tagAsCommit(payload), 'gpgsig', armor), 'sha1'));
  }
  return [...new Set(ids.filter((id) => id !== undefined))];
}

const KNOWN_HEADERS = ['tree ', 'parent ', 'author ', 'committer '];

// What go-git wrote again of a commit: no encoding, no merged tag, no header that it did not know.
function withoutOtherHeaders(payload: Uint8Array): Uint8Array {
  const end = headersEnd(payload);
  const headers = Buffer.from(payload.subarray(0, end)).toString('latin1');
  const kept = headers.split(/(?<=\n)/).filter((line) => KNOWN_HEADERS.some((name) => line.startsWith(name)));
  return concat(Buffer.from(kept.join(''), 'latin1'), payload.subarray(end));
}

// What go-git wrote of a tag that it read as a commit: nothing but the message.
function tagAsCommit(payload: Uint8Array): Uint8Array {
  const empty = ' <> 0 +0000\n';
  const headers = `tree ${'0'.repeat(40)}\nauthor ${empty}committer ${empty}`;
  return concat(serializeUtf8(headers), payload.subarray(headersEnd(payload)));
}
