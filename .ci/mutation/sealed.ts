// A log that lies: it holds the real key and vouches for a body, or for a checkpoint, that is not the genuine one.
import { serializeBundle, type TransparencyLogEntry } from '../../core/bundle/bundle.ts';
import { signedEntryTimestampPayload } from '../../core/bundle/set.ts';
import { parseUtf8, serializeBase64, serializeHex, serializeUtf8 } from '../../core/bytes/bytes.ts';
import { canonicalizeJson, type Json, parseJson } from '../../core/bytes/json.ts';
import { sha256 } from '../../core/crypto/hash.ts';
import { type PrivateKey, sign } from '../../core/crypto/private-key.ts';
import { serializePublicKeyPem } from '../../core/crypto/public-key.ts';
import type { Envelope } from '../../core/dsse/envelope.ts';
import { serializeCheckpoint } from '../../core/merkle/checkpoint.ts';
import { parseNote, serializeNote } from '../../core/merkle/note.ts';
import { leafHash } from '../../core/merkle/tree.ts';
import { parseCertificate, serializeCertificatePem } from '../../core/x509/certificate.ts';
import type { OwnBundle, OwnStack } from './own-stack.ts';
import { inEveryVersion, inVersion, type JsonObject, type Subject } from './subjects.ts';
import type { Change } from './uncovered.ts';

interface Sealer {
  readonly own: OwnBundle;
  readonly entry: TransparencyLogEntry;
  readonly key: PrivateKey;
}

export function sealers({ bundles, logKeys }: OwnStack): Sealer[] {
  return bundles
    .filter(({ changed }) => changed)
    .map((own) => {
      const [entry] = own.bundle.tlogEntries;
      if (entry === undefined) throw new Error('internal: a bundle without a log entry');
      return { own, entry, key: logKeys[own.dialect] };
    });
}

/** Every byte of the body changed, and the log's signatures made again; and the same of the other kinds of body. */
export function* sealedBodies(sealer: Sealer): Generator<Change> {
  const [subject] = inEveryVersion(sealer.own).slice(-1);
  if (subject === undefined) throw new Error('internal: a bundle of no version');
  for (const { kind, version, body } of bodiesOf(sealer)) {
    const text = parseUtf8(body);
    const genuine = { kind, version };
    for (let at = 0; at < text.length; at++) {
      const other = text.slice(0, at) + String.fromCharCode(text.charCodeAt(at) ^ (1 << (at % 4))) + text.slice(at + 1);
      yield {
        kind: 'sealed body',
        subject,
        path: [kind, version, partOf(text, at)],
        at,
        text: withEntry(sealer, subject, sealedEntry(sealer, genuine, serializeUtf8(other))),
      };
    }
  }
}

/** The bodies that vouch for the bundle, each accepted as it is (the test asserts it). */
export function genuineBodies(sealer: Sealer): { name: string; text: string; subject: Subject }[] {
  const [subject] = inEveryVersion(sealer.own).slice(-1);
  if (subject === undefined) throw new Error('internal: a bundle of no version');
  return bodiesOf(sealer).map(({ kind, version, body }) => ({
    name: `${kind} ${version}: ${subject.name}`,
    text: withEntry(sealer, subject, sealedEntry(sealer, { kind, version }, body)),
    subject,
  }));
}

interface Body {
  readonly kind: string;
  readonly version: string;
  readonly body: Uint8Array;
}

// Our own stack writes three of the six kinds; the rest is what other clients and older logs have written.
function bodiesOf({ own, entry }: Sealer): Body[] {
  const logged = { ...entry.kindVersion, body: entry.canonicalizedBody };
  const { content } = own.bundle;
  if (content.kind === 'message') return [logged];
  const make = (kind: string, version: string, spec: Json): Body => ({
    kind,
    version,
    body: serializeUtf8(canonicalizeJson({ apiVersion: version, kind, spec })),
  });
  return own.dialect === 1
    ? [
        logged,
        make('intoto', '0.0.1', intotoV001(own, content.envelope)),
        make('intoto', '0.0.2', intotoV002(own, content.envelope)),
      ]
    : [logged, make('dsse', '0.0.2', dsseV002(content.envelope, entry))];
}

const hashOf = (bytes: Uint8Array): Json => ({ algorithm: 'sha256', value: serializeHex(sha256(bytes)) });
const text64 = (text: string): string => serializeBase64(serializeUtf8(text));

function pemOf({ bundle, options }: OwnBundle): string {
  const { material } = bundle;
  if (material.kind === 'publicKey' && 'key' in options.policy) return serializePublicKeyPem(options.policy.key);
  const [leaf] = material.kind === 'certificates' ? material.certificates : [];
  return serializeCertificatePem(parseCertificate(leaf ?? new Uint8Array()));
}

function envelopeText({ payloadType, payload, signatures }: Envelope): Uint8Array {
  const [sig] = signatures.map((each) => serializeBase64(each.sig));
  const json = { payloadType, payload: serializeBase64(payload), signatures: [{ keyid: '', sig: sig ?? '' }] };
  return serializeUtf8(JSON.stringify(json));
}

const intotoV001 = (own: OwnBundle, envelope: Envelope): Json => ({
  content: { hash: hashOf(envelopeText(envelope)), payloadHash: hashOf(envelope.payload) },
  publicKey: text64(pemOf(own)),
});

const intotoV002 = (own: OwnBundle, envelope: Envelope): Json => ({
  content: {
    envelope: {
      payloadType: envelope.payloadType,
      signatures: envelope.signatures.map(({ sig }) => ({
        keyid: 'somebody',
        publicKey: text64(pemOf(own)),
        sig: text64(serializeBase64(sig)),
      })),
    },
    hash: hashOf(envelopeText(envelope)),
    payloadHash: hashOf(envelope.payload),
  },
});

function dsseV002(envelope: Envelope, entry: TransparencyLogEntry): Json {
  const logged = parseJson(entry.canonicalizedBody) as { spec: { hashedRekordV002: { signature: Json } } };
  return {
    dsseV002: {
      payloadHash: { algorithm: 'SHA2_256', digest: serializeBase64(sha256(envelope.payload)) },
      signatures: [logged.spec.hashedRekordV002.signature],
    },
  };
}

/** Which part of a body a character is in, where a change of it may pass. */
function partOf(text: string, at: number): string {
  const within = (pattern: RegExp): boolean => {
    const match = pattern.exec(text);
    if (match?.[1] === undefined) return false;
    const start = match.index + match[0].length - match[1].length;
    return start <= at && at < start + match[1].length;
  };
  if (within(/"keyid":"([^"]*)/)) return 'key ID';
  // intoto 0.0.1 has nothing but the envelope's hash, so there it is compared.
  const carriesMore = !text.startsWith('{"apiVersion":"0.0.1","kind":"intoto"');
  if (carriesMore && within(/"(?:envelopeHash|hash)":\{"algorithm":"sha256","value":"([0-9a-f]*)/)) {
    return text.includes('"kind":"hashedrekord"') ? 'hash' : 'envelope text';
  }
  return 'body';
}

/** An entry that is all of a tree, promised and signed by its log. */
function sealedEntry(
  { entry, key, own }: Sealer,
  kindVersion: TransparencyLogEntry['kindVersion'],
  body: Uint8Array,
): TransparencyLogEntry {
  const rootHash = leafHash(body);
  const note = parseNote(entry.inclusionProof?.checkpoint ?? '');
  const [origin = ''] = note.text.split('\n');
  const checkpoint = signedAgain(note, serializeCheckpoint({ origin, treeSize: 1n, rootHash }), key);
  const { integratedTime, logId } = entry;
  const promised = own.dialect === 1 && integratedTime !== undefined;
  return {
    ...entry,
    logIndex: 0n,
    kindVersion,
    canonicalizedBody: body,
    inclusionPromise: promised
      ? sign(key, signedEntryTimestampPayload({ body, integratedTime, logId, logIndex: 0n }))
      : undefined,
    inclusionProof: { logIndex: 0n, rootHash, treeSize: 1n, hashes: [], checkpoint },
  };
}

function signedAgain(note: ReturnType<typeof parseNote>, text: string, key: PrivateKey): string {
  const signature = sign(key, serializeUtf8(text));
  return serializeNote({ text, signatures: note.signatures.map((line) => ({ ...line, signature })) });
}

/** Every character of the checkpoint's text changed and signed again by the log. */
export function* sealedCheckpoints({ own, entry, key }: Sealer): Generator<Change> {
  for (const subject of inEveryVersion(own)) {
    const note = parseNote(entry.inclusionProof?.checkpoint ?? '');
    const [origin = ''] = note.text.split('\n');
    const treeId = origin.lastIndexOf(' - ') + 3;
    for (let at = 0; at < note.text.length; at++) {
      for (const mask of [0x01, 0x02, 0x08, 0x40]) {
        const other = String.fromCharCode(note.text.charCodeAt(at) ^ mask);
        const checkpoint = signedAgain(note, note.text.slice(0, at) + other + note.text.slice(at + 1), key);
        const path = [at >= treeId && at < origin.length && own.dialect === 1 ? 'tree ID' : 'checkpoint'];
        const proof = { ...entry.inclusionProof, checkpoint } as TransparencyLogEntry['inclusionProof'];
        const text = withEntry({ own, entry, key }, subject, { ...entry, inclusionProof: proof });
        yield { kind: 'sealed checkpoint', subject, path, at, text };
      }
    }
  }
}

function withEntry({ own }: Sealer, subject: Subject, entry: TransparencyLogEntry): string {
  const json = parseJson(serializeBundle({ ...own.bundle, tlogEntries: [entry] })) as JsonObject;
  return JSON.stringify(inVersion(json, subject.version));
}
