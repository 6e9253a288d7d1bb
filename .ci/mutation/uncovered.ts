// What may change in a bundle and is accepted all the same: all of it, each with the reason, which is one of three: nobody signs
// it and nothing is decided by it; the standard does not ask for it; or the log itself, with its key, signed it otherwise. The
// test holds the list to be complete and every line of it to be needed, and prints how many changes it let go.
import { parseBundle } from '../../core/bundle/bundle.ts';
import { serializeUtf8 } from '../../core/bytes/bytes.ts';
import { nameOf, type Path, valueAt } from './paths.ts';
import type { Subject } from './subjects.ts';

export type ChangeKind =
  | 'flip'
  | 'drop'
  | 'double'
  | 'duplicate member'
  | 'unknown member'
  | 'swap'
  | 'sealed body'
  | 'sealed checkpoint';

export interface Change {
  readonly kind: ChangeKind;
  readonly subject: Subject;
  readonly path: Path;
  /** Of a flip: the byte or character, -1 for a change of the length. */
  readonly at: number;
  /** The changed bundle as JSON text. */
  readonly text: string;
}

interface Uncovered {
  readonly what: string;
  readonly reason: string;
  readonly covers: (change: Change) => boolean;
}

const isIn =
  (pattern: RegExp, ...kinds: ChangeKind[]) =>
  (change: Change) =>
    kinds.includes(change.kind) && pattern.test(nameOf(change.path));
const ENTRY = /^verificationMaterial\.tlogEntries\.0/;

export const UNCOVERED: readonly Uncovered[] = [
  {
    what: 'hint of the key',
    reason: 'a hint for who looks for the key; the verifier was given the key itself',
    covers: isIn(/^verificationMaterial\.publicKey\.hint$/, 'flip', 'drop', 'swap'),
  },
  {
    what: 'key ID of an envelope',
    reason: 'DSSE v1 does not sign it; the key is the certificate’s or the verifier’s own',
    covers: isIn(/^dsseEnvelope\.signatures\.0\.keyid$/, 'flip', 'drop', 'swap'),
  },
  {
    what: 'certificates above the signer’s in a bundle',
    reason: 'trust comes from the trusted root alone; they need only be certificates in order',
    covers: isIn(/^verificationMaterial\.x509CertificateChain\.certificates\.[12]/, 'flip', 'drop', 'double', 'swap'),
  },
  {
    what: 'cosignatures of a checkpoint',
    reason: 'witnesses are not known to the trusted root; the lines are not looked at',
    covers: (change) => change.kind === 'flip' && isInCosignatures(change),
  },
  {
    what: 'version of the bundle',
    reason: 'nobody signs it; the bundle also is a valid one of the version that was put there',
    covers: (change) => isIn(/^mediaType$/, 'flip', 'swap')(change) && isVersion(change),
  },
  {
    what: 'inclusion proof of version 0.1',
    reason:
      'that version asks for the inclusion promise alone (sigstore_bundle.proto), without which it is rejected; a proof that is there is verified',
    covers: (change) =>
      change.subject.version === '0.1' &&
      (isIn(/\.inclusionProof(?:\.checkpoint(?:\.envelope)?)?$/, 'drop')(change) ||
        (change.at === -1 && isIn(/\.checkpoint\.envelope$/, 'flip')(change))),
  },
  {
    what: 'digest of the message',
    reason:
      'a hint that nobody signs; the artifact’s own digest is what counts. One that is there and wrong is rejected',
    covers: isIn(/^messageSignature\.messageDigest$/, 'drop'),
  },
  {
    what: 'one of two proofs of the time',
    reason:
      'the standard asks for one (client specification §4.2); the other proves the same, and without both it is rejected',
    covers: (change) =>
      change.subject.signer === 'certificate' &&
      isIn(/\.inclusionPromise$|timestampVerificationData(?:\.rfc3161Timestamps(?:\.0)?)?$/, 'drop')(change),
  },
  {
    what: 'log entry and time of a key',
    reason: 'whoever trusts a key needs no proof of when or where it signed; what is there is verified',
    covers: (change) =>
      change.subject.signer === 'key' &&
      isIn(
        /\.tlogEntries(?:\.0(?:\.inclusionPromise)?)?$|timestampVerificationData(?:\.rfc3161Timestamps(?:\.0)?)?$/,
        'drop',
      )(change),
  },
  {
    what: 'numbers that are 0',
    reason: 'absent means 0 in protojson',
    covers: (change) => change.kind === 'drop' && ENTRY.test(nameOf(change.path)) && isZero(change),
  },
  {
    what: 'hash of the envelope’s own text in the entries that carry it beside the payload’s',
    reason:
      'how a client spelled the JSON that it sent to the log is not known; payload, signature and key are compared',
    covers: (change) => change.kind === 'sealed body' && /envelope text$/.test(nameOf(change.path)),
  },
  {
    what: 'key ID in an entry of kind intoto',
    reason: 'as in the envelope',
    covers: (change) => change.kind === 'sealed body' && /key ID$/.test(nameOf(change.path)),
  },
  {
    what: 'tree ID in the origin of a Rekor v1 checkpoint that the log signed',
    reason:
      'never without the log’s key: a changed tree ID under the old signature is rejected, as every byte of the note. Signed again by the log it is a checkpoint of another of its shards, and the trusted root names logs by key alone, for shards of one log share it',
    covers: (change) => change.kind === 'sealed checkpoint' && /tree ID$/.test(nameOf(change.path)),
  },
];

/** True behind the log's own signature line, which is the first of the checkpoints here. */
function isInCosignatures({ subject, path, at }: Change): boolean {
  if (path.at(-1) !== 'envelope') return false;
  const note = valueAt(subject.json, path) as string;
  const ownLine = note.indexOf('\n\n') + 2;
  const end = note.indexOf('\n', ownLine) + 1;
  return at >= end && end < note.length;
}

function isVersion({ text }: Change): boolean {
  return ['0.1', '0.2', '0.3'].includes(parseBundle(serializeUtf8(text)).version);
}

function isZero({ subject, path }: Change): boolean {
  const value = valueAt(subject.json, path);
  return value === '0' || value === '' || (Array.isArray(value) && value.length === 0);
}
