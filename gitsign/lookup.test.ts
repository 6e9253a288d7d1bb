import { expect, test } from 'bun:test';
import { serializeHex, serializeUtf8 } from '../core/bytes/bytes.ts';
import { sha256 } from '../core/crypto/hash.ts';
import type { Http } from '../core/http/client.ts';
import { signArtifact } from '../core/sign/sign.ts';
import { logEntryV1 } from '../core/sign/testing-entries.ts';
import { lookUpEntry } from './lookup.ts';
import { loggedObjectIds } from './object-id.ts';
import { parseCmsSignature, serializeArmor } from './signature.ts';
import { gitStack, tagPayload } from './testing.ts';
import { verifyGitSignature } from './verify.ts';

const ID = '1'.repeat(64);

// A log that has one entry, about this text, in its index.
async function logWith(text: (armor: Uint8Array, payload: Uint8Array) => string, isOthers = false) {
  const stack = await gitStack();
  const payload = tagPayload();
  const { cms } = await stack.sign(payload, 'online');
  const armor = serializeUtf8(serializeArmor('SIGNED MESSAGE', cms));
  const about = serializeUtf8(text(armor, payload));
  const by = isOthers ? await gitStack() : stack;
  const { bundle } = await signArtifact([about], by.signer, by.context);
  const [entry] = bundle.tlogEntries;
  if (entry === undefined) throw new Error('not logged');
  const asked: string[] = [];
  const http: Http = {
    ...stack.http,
    async fetch(url, init) {
      if (new URL(url).pathname !== '/api/v1/index/retrieve') return Response.json(logEntryV1(ID, entry));
      const query = JSON.parse(String(init?.body)) as { hash: string; operator: string; publicKey: { format: string } };
      expect([query.operator, query.publicKey.format]).toEqual(['and', 'x509']);
      asked.push(query.hash);
      return Response.json(query.hash === `sha256:${serializeHex(sha256(about))}` ? [ID] : []);
    },
  };
  const signature = parseCmsSignature(cms);
  const found = await lookUpEntry(http, 'https://log.example', payload, armor, signature);
  const verify = () =>
    verifyGitSignature(payload, armor, signature, {
      trustedRootFor: () => stack.trustedRoot,
      now: stack.clock.now,
      found,
    });
  return { found, asked, verify };
}

test('an entry about any ID that a version of gitsign has given the object is found and verifies', async () => {
  for (const era of [0, 1, 2]) {
    const { found, asked, verify } = await logWith((armor, payload) => loggedObjectIds(payload, armor)[era] as string);
    expect(found).toBeDefined();
    expect(asked).toHaveLength(era + 1);
    expect(verify().logEntries).toHaveLength(1);
  }
});

test('no other entry is', async () => {
  const { found, asked } = await logWith(() => '0'.repeat(40));
  expect(found).toBeUndefined();
  expect(asked).toHaveLength(3);
});

test('an entry about the ID with the certificate of somebody else is passed over', async () => {
  const { found, asked } = await logWith((armor, payload) => loggedObjectIds(payload, armor)[0] as string, true);
  expect(found).toBeUndefined();
  expect(asked).toHaveLength(3);
});
