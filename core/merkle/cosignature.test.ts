import { describe, expect, test } from 'bun:test';
import { sign as nativeSign } from 'node:crypto';
import { concat, serializeHex, serializeUtf8 } from '../bytes/bytes.ts';
import { generateKey, type PrivateKey } from '../crypto/private-key.ts';
import { parseCheckpoint } from './checkpoint.ts';
import { cosign, verifyCosignature, verifyCosignatures } from './cosignature.ts';
import { type Note, type NoteSignature, parseNote, serializeNote } from './note.ts';
import { type Vkey, vkeyOf } from './vkey.ts';

// The examples of C2SP tlog-cosignature: the cosigned checkpoint, and the message that its witness signed.
const EXAMPLE = `example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=
— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==
`;
const MESSAGE = `cosignature/v1
time 1679315147
example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
`;
const TIME = new Date(1679315147_000);
const TEXT = MESSAGE.split('\n').slice(2).join('\n');

const key = generateKey('ed25519');
const witness = vkeyOf('witness.example.com/w1', 'witness', key.publicKey);
const noteOf = (...signatures: NoteSignature[]): Note => ({ text: TEXT, signatures });

describe('the examples of C2SP tlog-cosignature', () => {
  test('the checkpoint parses, and its cosignature says when', () => {
    const { note } = parseCheckpoint(EXAMPLE);
    expect(note.text).toBe(TEXT);
    const line = note.signatures[1] as NoteSignature;
    expect(line.signature.length).toBe(72);
    expect(Buffer.from(line.signature).readBigUInt64BE()).toBe(1679315147n);
    expect(serializeNote(note)).toBe(EXAMPLE);
  });
  test('the message is what a cosignature signs', () => {
    const time = Buffer.alloc(8);
    time.writeBigUInt64BE(1679315147n);
    const signature = new Uint8Array(nativeSign(null, Buffer.from(MESSAGE), key.native));
    const line = { name: witness.name, keyId: witness.keyId, signature: concat(new Uint8Array(time), signature) };
    expect(verifyCosignature(noteOf(line), witness)).toEqual({ witness, time: TIME });
    // Ed25519 signs the same text to the same bytes.
    expect(cosign(TEXT, witness, key, TIME)).toEqual(line);
  });
});

test('every cosignature that is made verifies, over any text and time', () => {
  for (let i = 0; i < 60; i++) {
    const each = generateKey('ed25519');
    const by = vkeyOf(`w${i}`, 'witness', each.publicKey);
    const text = `log ${i}\n${2 ** i}\n${'x'.repeat(i + 1)}\n${i % 3 === 0 ? 'an extension line\n' : ''}`;
    const time = new Date(1000 * (i === 0 ? 1 : i * 4_000_000_000) + 999);
    const parsed = parseNote(serializeNote({ text, signatures: [cosign(text, by, each, time)] }));
    expect(verifyCosignature(parsed, by)?.time.getTime()).toBe(Math.floor(time.getTime() / 1000) * 1000);
  }
});

describe('is refused:', () => {
  const good = cosign(TEXT, witness, key, TIME);
  const changed = (at: number): NoteSignature => {
    const signature = good.signature.slice();
    signature[at % signature.length] = (signature[at % signature.length] as number) ^ (1 << (at % 8));
    return { ...good, signature };
  };
  test('not the good one', () => expect(verifyCosignature(noteOf(good), witness)?.time).toEqual(TIME));
  test('any changed byte of time or signature', () => {
    for (let at = 0; at < 72; at++) expect(verifyCosignature(noteOf(changed(at)), witness)).toBeUndefined();
  });
  test('any changed character of the checkpoint', () => {
    for (let at = 0; at < TEXT.length; at++) {
      const text = `${TEXT.slice(0, at)}${TEXT[at] === 'a' ? 'b' : 'a'}${TEXT.slice(at + 1)}`;
      expect(verifyCosignature({ text, signatures: [good] }, witness)).toBeUndefined();
    }
  });
  test('an added extension line', () =>
    expect(verifyCosignature({ text: `${TEXT}more\n`, signatures: [good] }, witness)).toBeUndefined());
  test('the signature of a log, which has no time', () => {
    const signature = new Uint8Array(nativeSign(null, Buffer.from(TEXT), key.native));
    expect(verifyCosignature(noteOf({ ...good, signature }), witness)).toBeUndefined();
    const timed = concat(good.signature.subarray(0, 8), signature);
    expect(verifyCosignature(noteOf({ ...good, signature: timed }), witness)).toBeUndefined();
  });
  test('time zero, and a time beyond every calendar', () => {
    for (const time of [0n, 253_402_300_800n, 2n ** 63n - 1n, 2n ** 64n - 1n]) {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(time);
      const message = serializeUtf8(`cosignature/v1\ntime ${time}\n${TEXT}`);
      const signature = concat(new Uint8Array(bytes), new Uint8Array(nativeSign(null, message, key.native)));
      expect(verifyCosignature(noteOf({ ...good, signature }), witness)).toBeUndefined();
    }
  });
  test('a signature that is too short or too long', () => {
    for (const signature of [
      good.signature.subarray(0, 71),
      concat(good.signature, Uint8Array.of(0)),
      new Uint8Array(1),
    ])
      expect(verifyCosignature(noteOf({ ...good, signature }), witness)).toBeUndefined();
  });
  test('another name, another key ID, another key', () => {
    expect(verifyCosignature(noteOf(good), { ...witness, name: 'other' })).toBeUndefined();
    expect(verifyCosignature(noteOf(good), { ...witness, keyId: new Uint8Array(4) })).toBeUndefined();
    expect(
      verifyCosignature(noteOf(good), { ...witness, publicKey: generateKey('ed25519').publicKey }),
    ).toBeUndefined();
  });
  test('a good one beside a wrong one of the same key', () => {
    expect(verifyCosignature(noteOf(good, changed(70)), witness)).toBeUndefined();
    expect(verifyCosignature(noteOf(changed(70), good), witness)).toBeUndefined();
  });
});

test('of several cosignatures of one witness the latest counts', () => {
  const later = cosign(TEXT, witness, key, new Date(TIME.getTime() + 5000));
  const earlier = cosign(TEXT, witness, key, TIME);
  for (const note of [noteOf(earlier, later), noteOf(later, earlier)])
    expect(verifyCosignature(note, witness)?.time.getTime()).toBe(TIME.getTime() + 5000);
});

describe('verifyCosignatures counts', () => {
  const keys: PrivateKey[] = [1, 2, 3].map(() => generateKey('ed25519'));
  const witnesses: Vkey[] = keys.map((each, i) => vkeyOf(`w${i}`, 'witness', each.publicKey));
  const lines = keys.map((each, i) => cosign(TEXT, witnesses[i] as Vkey, each, TIME));
  test('the witnesses that were named, in whatever order', () => {
    const names = (note: Note, list: readonly Vkey[]) =>
      verifyCosignatures(note, list).map((found) => found.witness.name);
    expect(names(noteOf(...lines), witnesses)).toEqual(['w0', 'w1', 'w2']);
    expect(names(noteOf(...lines.toReversed()), witnesses.slice(1))).toEqual(['w1', 'w2']);
    expect(names(noteOf(...lines.slice(0, 1)), witnesses)).toEqual(['w0']);
  });
  test('one key under two names once', () => {
    const [first] = keys as [PrivateKey];
    const alias = vkeyOf('alias', 'witness', first.publicKey);
    const note = noteOf(lines[0] as NoteSignature, cosign(TEXT, alias, first, TIME));
    expect(verifyCosignatures(note, [witnesses[0] as Vkey, alias])).toHaveLength(1);
  });
  test('one witness that is named twice once', () => {
    const [w] = witnesses as [Vkey];
    expect(verifyCosignatures(noteOf(...lines), [w, w])).toHaveLength(1);
    expect(serializeHex(w.keyId)).toHaveLength(8);
  });
});
