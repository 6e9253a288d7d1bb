import { describe, expect, test } from 'bun:test';
import { concat, serializeBase64, serializeHex } from '../bytes/bytes.ts';
import { generateKey } from '../crypto/private-key.ts';
import { rawEd25519Key } from '../crypto/public-key.ts';
import { errorOf } from '../testing.ts';
import { isNoteSignedBy, noteKeyId, parseNote } from './note.ts';
import { parseVkey, serializeVkey, vkeyOf } from './vkey.ts';

// The example of C2SP signed-note.
const EXAMPLE = 'example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k';
const NOTE = `This is an example message.

— example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=
`;

describe('the example of C2SP signed-note', () => {
  const vkey = parseVkey(EXAMPLE);
  test('parses', () => {
    expect(vkey.name).toBe('example.com/foo');
    expect(vkey.use).toBe('log');
    expect(serializeHex(vkey.keyId)).toBe('530d903a');
  });
  test('verifies its note', () => expect(isNoteSignedBy(parseNote(NOTE), vkey)).toBe(true));
  test('is written as it was read', () => expect(serializeVkey(vkey)).toBe(EXAMPLE));
});

test('what is written is read again, of logs and witnesses', () => {
  for (const use of ['log', 'witness'] as const)
    for (const name of ['a', 'witness.example.com/w1', 'host:8080', 'wïtness', 'x'.repeat(900)]) {
      const vkey = vkeyOf(name, use, generateKey('ed25519').publicKey);
      const again = parseVkey(serializeVkey(vkey));
      expect(serializeVkey(again)).toBe(serializeVkey(vkey));
      expect(again.use).toBe(use);
      expect(again.publicKey.spki).toEqual(vkey.publicKey.spki);
    }
});

test('one key has different IDs as log and as witness', () => {
  const { publicKey } = generateKey('ed25519');
  expect(vkeyOf('a', 'log', publicKey).keyId).not.toEqual(vkeyOf('a', 'witness', publicKey).keyId);
});

describe('parseVkey refuses', () => {
  const key = generateKey('ed25519').publicKey;
  const write = (name: string, material: Uint8Array, id?: string): string =>
    `${name}+${id ?? serializeHex(noteKeyId(name, material[0] ?? 0, material.subarray(1)))}+${serializeBase64(material)}`;
  const raw = concat(Uint8Array.of(4), rawEd25519Key(key));
  test('nothing of the good one', () => expect(parseVkey(write('w', raw)).use).toBe('witness'));
  for (const [flaw, text, code] of [
    ['an empty text', '', 'KEY_INVALID'],
    ['two parts', 'a+00000000', 'KEY_INVALID'],
    ['no name', write('w', raw).slice(1), 'KEY_INVALID'],
    ['a name with a space', write('w w', raw), 'KEY_INVALID'],
    ['a name with a no-break space', write('w\u00a0w', raw), 'KEY_INVALID'],
    ['a name with a control character', write('w\u0007', raw), 'KEY_INVALID'],
    ['a space before it', ` ${write('w', raw)}`, 'KEY_INVALID'],
    ['a newline after it', `${write('w', raw)}\n`, 'KEY_INVALID'],
    ['the key ID of another name', write('w', raw).replace('w', 'v'), 'KEY_INVALID'],
    ['a key ID of a log', write('w', raw, serializeHex(noteKeyId('w', 1, rawEd25519Key(key)))), 'KEY_INVALID'],
    ['a key ID in upper case', write('w', raw, 'ABCDEF01'), 'KEY_INVALID'],
    ['a key ID of three bytes', write('w', raw, 'abcdef'), 'KEY_INVALID'],
    ['base64 cut short', write('w', raw).slice(0, -1), 'KEY_INVALID'],
    ['a key of 31 bytes', write('w', raw.subarray(0, 32)), 'KEY_INVALID'],
    ['a key of 33 bytes', write('w', concat(raw, Uint8Array.of(0))), 'KEY_INVALID'],
    ['a key of small order', write('w', concat(Uint8Array.of(4), new Uint8Array(32))), 'KEY_INVALID'],
    ['post-quantum cosignatures', write('w', concat(Uint8Array.of(6), new Uint8Array(1312))), 'KEY_INVALID'],
    ['an algorithm that nobody defined', write('w', concat(Uint8Array.of(2), new Uint8Array(32))), 'KEY_UNSUPPORTED'],
    ['more characters than a key has', write('w'.repeat(1100), raw), 'KEY_INVALID'],
  ] as const) {
    test(flaw, () => expect(errorOf(() => parseVkey(text)).code).toBe(code));
  }
});

test('a key cannot have a name with a plus sign', () => {
  expect(errorOf(() => vkeyOf('a+b', 'witness', generateKey('ed25519').publicKey)).code).toBe('CONFIG_INVALID');
});
