import { concat, serializeUtf8 } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MAX_GIT_OBJECT_BYTES } from '../core/limits.ts';

/** The hash that names a repository's objects (gitformat, extensions.objectFormat). */
export type ObjectFormat = 'sha1' | 'sha256';

export type SignedKind = 'commit' | 'tag';

/** What made a signature, as git tells by its first line. */
export type SignatureKind = 'x509' | 'openpgp' | 'ssh';

/** The first lines by which git knows a signature and the program that verifies it (gitformat-signature). */
export const SIGNATURE_LABELS: Readonly<Record<string, SignatureKind>> = {
  '-----BEGIN PGP SIGNATURE-----': 'openpgp',
  '-----BEGIN PGP MESSAGE-----': 'openpgp',
  '-----BEGIN SIGNED MESSAGE-----': 'x509',
  '-----BEGIN SSH SIGNATURE-----': 'ssh',
};

/** A commit or tag, cut as git cuts it: nothing is re-encoded, nothing verified. The arrays may be views. */
export interface SignedObject {
  readonly kind: SignedKind;
  /** What a signature is over. */
  readonly payload: Uint8Array;
  /** Armor as git hands it to a verifying program; undefined of an unsigned object. */
  readonly signature: Uint8Array | undefined;
}

const LF = 0x0a;
const SPACE = 0x20;
const SIGNATURE_HEADER: Record<ObjectFormat, string> = { sha1: 'gpgsig', sha256: 'gpgsig-sha256' };
const LABELS = Object.entries(SIGNATURE_LABELS).map(([line, kind]) => ({ line: serializeUtf8(line), kind }));
const GPGSIG = serializeUtf8('gpgsig');
const DASHES = serializeUtf8('-----BEGIN ');

const fail = (problem: string): InputError => new InputError('GIT_OBJECT_INVALID', `not a git object: ${problem}`);

/**
 * Cuts the body of an object into what is signed and its signature. Of a commit the signature is the header of the repository's
 * own format, and both formats' headers are left out of the payload; of a tag it begins at the last line that is a signature's
 * first. Two signatures of one commit are refused: git would join them into one text; so are unknown
 * headers that begin with gpgsig. GIT_OBJECT_INVALID, INPUT_TOO_LARGE.
 */
export function parseSignedObject(kind: SignedKind, body: Uint8Array, format: ObjectFormat): SignedObject {
  requireBounded(body);
  if (kind === 'commit') {
    const { payload, signature } = cutHeaders(body, SIGNATURE_HEADER[format]);
    return { kind, payload, signature };
  }
  const start = signatureStart(body);
  // Signatures for the other format stand in the headers of tags too.
  const { payload } = cutHeaders(body.subarray(0, start), undefined);
  return { kind, payload, signature: start < body.length ? body.subarray(start) : undefined };
}

/** Whose signature it is by its first line; undefined for a text that git would not take for one. */
export function signatureKind(armor: Uint8Array): SignatureKind | undefined {
  return LABELS.find(({ line }) => startsWith(armor, 0, line))?.kind;
}

/** The kind of object that a payload is of, told as git's own writers begin them; undefined of a push certificate. */
export function payloadKind(payload: Uint8Array): SignedKind | undefined {
  if (startsWith(payload, 0, serializeUtf8('tree '))) return 'commit';
  return startsWith(payload, 0, serializeUtf8('object ')) ? 'tag' : undefined;
}

function requireBounded(body: Uint8Array): void {
  if (body.length <= MAX_GIT_OBJECT_BYTES) return;
  throw new InputError('INPUT_TOO_LARGE', `a git object of more than ${MAX_GIT_OBJECT_BYTES} bytes`);
}

function startsWith(bytes: Uint8Array, at: number, prefix: Uint8Array): boolean {
  if (bytes.length - at < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (bytes[at + i] !== prefix[i]) return false;
  return true;
}

// Without the headers that hold signatures; the content of the header `wanted` is the signature.
function cutHeaders(
  body: Uint8Array,
  wanted: string | undefined,
): { payload: Uint8Array; signature: Uint8Array | undefined } {
  const kept: Uint8Array[] = [];
  const signature: Uint8Array[] = [];
  const seen = new Set<string>();
  let within: string | undefined;
  let keptFrom = 0;
  let at = 0;
  while (at < body.length && body[at] !== LF) {
    const next = lineEnd(body, at);
    if (body[at] !== SPACE) {
      const name = signatureHeader(body, at);
      if (name !== undefined) {
        if (seen.has(name)) throw fail(`two ${name} headers`);
        seen.add(name);
        if (within === undefined) kept.push(body.subarray(keptFrom, at));
        if (name === wanted) signature.push(body.subarray(at + name.length + 1, next));
      } else if (within !== undefined) keptFrom = at;
      within = name;
    } else if (within !== undefined && within === wanted) signature.push(body.subarray(at + 1, next));
    at = next;
  }
  if (within !== undefined) keptFrom = at;
  if (kept.length === 0) return { payload: body, signature: undefined };
  kept.push(body.subarray(keptFrom));
  return { payload: concat(...kept), signature: signature.length > 0 ? concat(...signature) : undefined };
}

function signatureHeader(body: Uint8Array, at: number): string | undefined {
  // Nearly every header is told apart by its first letter.
  if (body[at] !== 0x67 || !startsWith(body, at, GPGSIG)) return undefined;
  const known = Object.values(SIGNATURE_HEADER).find((name) => startsWith(body, at, serializeUtf8(`${name} `)));
  // Of a commit git leaves out of the payload whatever begins like this, so it is signed for one reader and not for another.
  if (known === undefined) throw fail('a header that begins with gpgsig and is none of git');
  return known;
}

function lineEnd(body: Uint8Array, at: number): number {
  const end = body.indexOf(LF, at);
  return end < 0 ? body.length : end + 1;
}

// The last line that begins a signature, as git takes it: what is quoted in a message does not count if one follows.
function signatureStart(body: Uint8Array): number {
  let start = body.length;
  for (let at = 0; at < body.length; at = lineEnd(body, at)) {
    if (startsWith(body, at, DASHES) && LABELS.some(({ line }) => startsWith(body, at, line))) start = at;
  }
  return start;
}

/** The object that git writes of a payload and its signature: its kind and body. A push certificate is no object: undefined. */
export function joinObject(
  payload: Uint8Array,
  armor: Uint8Array,
  format: ObjectFormat,
): { kind: SignedKind; body: Uint8Array } | undefined {
  const kind = payloadKind(payload);
  if (kind === undefined) return undefined;
  if (kind === 'tag') return { kind, body: concat(payload, armor) };
  return { kind, body: insertHeader(payload, SIGNATURE_HEADER[format], armor) };
}

/** The payload with a signature as its last header, each line after the first begun with a space. */
export function insertHeader(payload: Uint8Array, name: string, armor: Uint8Array): Uint8Array {
  const blank = headersEnd(payload);
  const lines: Uint8Array[] = [];
  for (let at = 0; at < armor.length; at = lineEnd(armor, at)) {
    lines.push(serializeUtf8(at === 0 ? `${name} ` : ' '), armor.subarray(at, lineEnd(armor, at)));
  }
  const closed = armor.length > 0 && armor.at(-1) !== LF ? [Uint8Array.of(LF)] : [];
  return concat(payload.subarray(0, blank), ...lines, ...closed, payload.subarray(blank));
}

/** Where the headers end: at the blank line, or where there is none at the end. */
export function headersEnd(payload: Uint8Array): number {
  let at = 0;
  while (at < payload.length && payload[at] !== LF) at = lineEnd(payload, at);
  return at;
}
