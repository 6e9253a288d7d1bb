import { describe, expect, test } from 'bun:test';
import { readFileSync } from 'node:fs';
import { concat, parseBase64, serializeBase64, serializeHex } from '../bytes/bytes.ts';
import { sharedPath } from '../bytes/shared-data.ts';
import { generateKey } from '../crypto/private-key.ts';
import { parsePublicKey } from '../crypto/public-key.ts';
import { InputError } from '../errors.ts';
import { MAX_NOTE_BYTES, MAX_NOTE_SIGNATURES } from '../limits.ts';
import { isNoteSignedBy, logKeyHash, noteKeyId, parseNote, serializeNote } from './note.ts';

// The example of the signed note format in Go's checksum database.
const EXAMPLE = `If you think cryptography is the answer to your problem,
then you don't know what your problem is.

— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=
`;
const SPKI_PREFIX = Uint8Array.fromHex('302a300506032b6570032100');
const publicKey = parsePublicKey(
  concat(SPKI_PREFIX, parseBase64('ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW').subarray(1)),
);
const keyId = Uint8Array.fromHex('c74f20a3');
const line = (name: string, bytes: Uint8Array = new Uint8Array(68)): string => `— ${name} ${serializeBase64(bytes)}\n`;

describe('the example', () => {
  const note = parseNote(EXAMPLE);
  test('parses', () => {
    expect(note.text.endsWith('problem is.\n')).toBe(true);
    expect(note.signatures.map(({ name, keyId: id }) => [name, serializeHex(id)])).toEqual([
      ['PeterNeumann', 'c74f20a3'],
    ]);
  });
  test('has the key ID of its key', () => {
    expect(logKeyHash('PeterNeumann', publicKey).subarray(0, 4)).toEqual(keyId);
    expect(noteKeyId('PeterNeumann', 1, publicKey.spki.subarray(-32))).toEqual(keyId);
  });
  test('is signed by its key', () =>
    expect(isNoteSignedBy(note, { name: 'PeterNeumann', keyId, publicKey })).toBe(true));
  test('is written as it was read', () => expect(serializeNote(note)).toBe(EXAMPLE));
});

describe('isNoteSignedBy', () => {
  const signer = { name: 'PeterNeumann', keyId, publicKey };
  test('is not fooled by another name', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE), { ...signer, name: 'Peter' })).toBe(false));
  test('is not fooled by another key ID', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE), { ...signer, keyId: new Uint8Array(4) })).toBe(false));
  test('is not fooled by another key', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE), { ...signer, publicKey: generateKey('ed25519').publicKey })).toBe(false));
  test('is not fooled by another text', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE.replace('answer', 'Answer')), signer)).toBe(false));
  test('finds the signature after a cosignature', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE.replace('— ', `${line('witness.example')}— `)), signer)).toBe(true));
  test('wants every signature of the key to verify', () =>
    expect(isNoteSignedBy(parseNote(EXAMPLE + line('PeterNeumann', concat(keyId, new Uint8Array(64)))), signer)).toBe(
      false,
    ));
});

describe('logKeyHash', () => {
  const file = sharedPath('trust/public-good.trusted_root.json');
  test.skipIf(file === undefined)('is the log ID that public-good publishes for its Rekor v2 log', () => {
    const { tlogs } = JSON.parse(readFileSync(file as string, 'utf8')) as {
      tlogs: { baseUrl: string; publicKey: { rawBytes: string }; logId: { keyId: string } }[];
    };
    const logs = tlogs.filter(({ baseUrl }) => new URL(baseUrl).hostname.startsWith('log20'));
    expect(logs.length).toBeGreaterThan(0);
    for (const { baseUrl, publicKey: key, logId } of logs) {
      const id = logKeyHash(new URL(baseUrl).hostname, parsePublicKey(parseBase64(key.rawBytes)));
      expect(serializeBase64(id)).toBe(logId.keyId);
    }
  });
  test('of an ECDSA key does not depend on the name', () => {
    const { publicKey: key } = generateKey('p256');
    expect(logKeyHash('a', key)).toEqual(logKeyHash('b', key));
  });
  test('of an RSA key does', () => {
    const { publicKey: key } = generateKey('rsa', 2048);
    expect(logKeyHash('a', key)).not.toEqual(logKeyHash('b', key));
  });
});

describe('parseNote refuses', () => {
  const good = `text\n\n${line('name')}`;
  test('nothing of the good one', () => expect(serializeNote(parseNote(good))).toBe(good));
  test('nothing of one with the most signatures', () =>
    expect(parseNote(`text\n\n${line('name').repeat(MAX_NOTE_SIGNATURES)}`).signatures.length).toBe(
      MAX_NOTE_SIGNATURES,
    ));
  for (const [flaw, note] of [
    ['no blank line', `text\n${line('name')}`],
    ['an empty text', `\n\n${line('name')}`],
    ['a second blank line', `text\n\nmore\n\n${line('name')}`],
    ['a blank line between signatures', `${good}\n${line('name')}`],
    ['no signature', 'text\n\n'],
    ['a last line that does not end', good.slice(0, -1)],
    ['text after the signatures', `${good}more\n`],
    ['a hyphen for the dash', good.replace('—', '-')],
    ['an en dash for the em dash', good.replace('—', '–')],
    ['two spaces before the name', good.replace('— ', '—  ')],
    ['no name', good.replace('name', '')],
    ['a name with a space', good.replace('name', 'na me')],
    ['a name with a no-break space', good.replace('name', 'na\u00a0me')],
    ['a name with a plus', good.replace('name', 'na+me')],
    ['a carriage return', good.replace('text\n', 'text\r\n')],
    ['a tab', good.replace('text', 'te\txt')],
    ['a NUL', good.replace('text', 'te\0xt')],
    ['half of a surrogate pair', good.replace('text', 'te\ud800xt')],
    ['base64 without padding', `text\n\n— name ${'A'.repeat(91)}\n`],
    ['base64 with junk', good.replace('AAAA', 'A$AA')],
    ['URL-safe base64', good.replace('AAAA', 'AA-_')],
    ['a signature of no bytes', `text\n\n${line('name', new Uint8Array(4))}`],
    ['a signature without key ID', `text\n\n${line('name', new Uint8Array(3))}`],
    ['too many signatures', `text\n\n${line('name').repeat(MAX_NOTE_SIGNATURES + 1)}`],
    ['too many bytes', `${'x'.repeat(MAX_NOTE_BYTES)}\n\n${line('name')}`],
    ['an empty string', ''],
  ] as const) {
    test(flaw, () => {
      expect(() => parseNote(note)).toThrow(InputError);
      expect(() => parseNote(note)).toThrow('not a signed note');
    });
  }
});
