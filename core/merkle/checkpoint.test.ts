import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { sharedPath } from '../bytes/shared-data.ts';
import { generateKey } from '../crypto/private-key.ts';
import { keyFingerprint } from '../crypto/public-key.ts';
import { HallmarkError } from '../errors.ts';
import { isV1Style, parseCheckpoint, serializeCheckpoint, signCheckpoint } from './checkpoint.ts';
import { isNoteSignedBy, logKeyHash } from './note.ts';

const ROOT = 'rs1YPY0ydAV0lxgfrq5pE4oRpUJwo3syeps5+eGUTDI=';
const SIGNATURES = `\n— log.example ${'A'.repeat(92)}\n`;
const checkpoint = (...lines: string[]): string => `${lines.join('\n')}\n${SIGNATURES}`;

function refusalOf(envelope: string): string {
  try {
    parseCheckpoint(envelope);
  } catch (error) {
    if (error instanceof HallmarkError) return error.code;
    throw error;
  }
  return 'accepted';
}

describe('parseCheckpoint', () => {
  test('reads origin, size, root and extension lines', () => {
    const parsed = parseCheckpoint(checkpoint('log.example', '736', ROOT, 'Timestamp: 1689177396617352539'));
    expect(parsed.origin).toBe('log.example');
    expect(parsed.treeSize).toBe(736n);
    expect(parsed.rootHash.length).toBe(32);
    expect(parsed.extensions).toEqual(['Timestamp: 1689177396617352539']);
    expect(parsed.note.signatures.length).toBe(1);
  });
  test('accepts the empty tree and the largest', () => {
    expect(parseCheckpoint(checkpoint('log.example', '0', ROOT)).treeSize).toBe(0n);
    expect(parseCheckpoint(checkpoint('log.example', '9223372036854775807', ROOT)).treeSize).toBe(2n ** 63n - 1n);
  });
  for (const [flaw, envelope, code] of [
    ['no origin', checkpoint('736', ROOT), 'CHECKPOINT_INVALID'],
    ['no root hash', checkpoint('log.example', '736'), 'CHECKPOINT_INVALID'],
    ['an empty origin', checkpoint('', '736', ROOT), 'CHECKPOINT_INVALID'],
    ['an empty root hash', checkpoint('log.example', '736', ''), 'NOTE_INVALID'],
    ['a size with a leading zero', checkpoint('log.example', '0736', ROOT), 'CHECKPOINT_INVALID'],
    ['a size with a sign', checkpoint('log.example', '+736', ROOT), 'CHECKPOINT_INVALID'],
    ['a negative size', checkpoint('log.example', '-1', ROOT), 'CHECKPOINT_INVALID'],
    ['a size in hexadecimal', checkpoint('log.example', '0x10', ROOT), 'CHECKPOINT_INVALID'],
    ['a size with a space', checkpoint('log.example', ' 736', ROOT), 'CHECKPOINT_INVALID'],
    ['a size above 2^63 - 1', checkpoint('log.example', '9223372036854775808', ROOT), 'CHECKPOINT_INVALID'],
    ['a root hash of 31 bytes', checkpoint('log.example', '736', `${'A'.repeat(42)}==`), 'CHECKPOINT_INVALID'],
    ['a root hash in hexadecimal', checkpoint('log.example', '736', 'ab'.repeat(32)), 'CHECKPOINT_INVALID'],
    ['a root hash without padding', checkpoint('log.example', '736', ROOT.slice(0, -1)), 'CHECKPOINT_INVALID'],
    ['a root hash with loose bits', checkpoint('log.example', '736', ROOT.replace('I=', 'J=')), 'CHECKPOINT_INVALID'],
    ['an empty extension line', checkpoint('log.example', '736', ROOT, '', 'more'), 'NOTE_INVALID'],
    ['no signature', `log.example\n736\n${ROOT}\n\n`, 'NOTE_INVALID'],
  ] as const) {
    test(`refuses ${flaw}`, () => expect(refusalOf(envelope)).toBe(code));
  }

  for (const [name, code] of [
    ['rekor2-checkpoint-missing-log-signature_fail', 'NOTE_INVALID'],
    ['rekor2-checkpoint-missing-origin_fail', 'CHECKPOINT_INVALID'],
    ['rekor2-checkpoint-missing-root-hash_fail', 'CHECKPOINT_INVALID'],
    ['rekor2-checkpoint-origin-not-first', 'accepted'],
    ['rekor2-checkpoint-two-sigs-cosigned', 'accepted'],
    ['happy-path-v0.2', 'accepted'],
  ] as const) {
    const file = sharedPath(`corpus/conformance/${name}/bundle.sigstore.json`);
    test.skipIf(file === undefined)(`conformance ${name}`, () => {
      const bundle = JSON.parse(readFileSync(file as string, 'utf8'));
      const [entry] = bundle.verificationMaterial.tlogEntries;
      expect(refusalOf(entry.inclusionProof.checkpoint.envelope)).toBe(code);
    });
  }
});

describe('signCheckpoint', () => {
  const body = { treeSize: 7n, rootHash: new Uint8Array(32).fill(9) };
  test('as Rekor v1: one ECDSA signature under the host, key ID of the SPKI', () => {
    const key = generateKey('p256');
    const keyId = keyFingerprint(key.publicKey).subarray(0, 4);
    const origin = 'localhost - 1193050959916656506';
    const signed = parseCheckpoint(signCheckpoint({ ...body, origin }, { name: 'localhost', keyId, key }));
    expect(signed).toMatchObject({ ...body, origin, extensions: [] });
    expect(isV1Style(signed)).toBe(true);
    expect(isNoteSignedBy(signed.note, { name: 'localhost', keyId, publicKey: key.publicKey })).toBe(true);
  });
  test('as Rekor v2: Ed25519 under the origin', () => {
    const key = generateKey('ed25519');
    const keyId = logKeyHash('localhost', key.publicKey).subarray(0, 4);
    const signed = parseCheckpoint(signCheckpoint({ ...body, origin: 'localhost' }, { name: 'localhost', keyId, key }));
    expect(isV1Style(signed)).toBe(false);
    expect(isNoteSignedBy(signed.note, { name: 'localhost', keyId, publicKey: key.publicKey })).toBe(true);
  });
  test('signs the text that serializeCheckpoint writes', () => {
    const key = generateKey('ed25519');
    const signed = signCheckpoint({ ...body, origin: 'o' }, { name: 'o', keyId: new Uint8Array(4), key });
    expect(parseCheckpoint(signed).note.text).toBe(serializeCheckpoint({ ...body, origin: 'o' }));
    expect(serializeCheckpoint({ ...body, origin: 'o' })).toBe('o\n7\nCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=\n');
  });
});

test('isV1Style wants host, dash and decimal tree ID at the end', () => {
  for (const origin of ['log.example', 'log.example - ', 'log.example-12', 'log.example - 12a', 'a - 12 b'])
    expect(isV1Style({ origin })).toBe(false);
});
