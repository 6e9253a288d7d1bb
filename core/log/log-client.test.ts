import { describe, expect, test } from 'bun:test';
import { serializeHashedRekordV001 } from '../bundle/entry.ts';
import { serializeBase64, serializeHex } from '../bytes/bytes.ts';
import { sha256 } from '../crypto/hash.ts';
import { generateKey, sign } from '../crypto/private-key.ts';
import { serializePublicKeyPem } from '../crypto/public-key.ts';
import { fakeHttp } from '../http/testing.ts';
import { signCheckpoint } from '../merkle/checkpoint.ts';
import { leafHash } from '../merkle/tree.ts';
import { ownEntry, ownLog } from '../verify/testing-own-log.ts';
import { createLogClient } from './log-client.ts';

const URL_BASE = 'https://log.example.com';
const KEY = generateKey('p256');
const digest = sha256(new Uint8Array(1));
const BODY = serializeHashedRekordV001({
  hash: 'sha256',
  digest,
  signature: sign(KEY, new Uint8Array(1)),
  publicKeyPem: serializePublicKeyPem(KEY.publicKey),
});
const ENTRY = ownEntry(KEY, BODY, { index: 1n, time: 1_780_000_000n });

/** A log that answers with the entry at index 1, with what is changed of it. */
function clientOf(change: { logIndex?: bigint; promise?: undefined }) {
  const { inclusionProof: proof, inclusionPromise } = ENTRY;
  const promise = 'promise' in change ? change.promise : inclusionPromise;
  const answer = {
    [serializeHex(leafHash(BODY))]: {
      body: serializeBase64(BODY),
      integratedTime: Number(ENTRY.integratedTime),
      logID: serializeHex(ENTRY.logId),
      logIndex: Number(change.logIndex ?? ENTRY.logIndex),
      verification: {
        inclusionProof: {
          checkpoint: proof?.checkpoint,
          hashes: proof?.hashes.map(serializeHex),
          logIndex: Number(proof?.logIndex),
          rootHash: serializeHex(proof?.rootHash ?? new Uint8Array()),
          treeSize: Number(proof?.treeSize),
        },
        ...(promise && { signedEntryTimestamp: serializeBase64(promise) }),
      },
    },
  };
  const http = fakeHttp(async () => new Response(JSON.stringify(answer)));
  return createLogClient(http, { version: 1, url: URL_BASE }, [ownLog(KEY)]);
}

describe('an entry of a v1 log by its index', () => {
  test('is the one that the log promised there', async () => {
    expect((await clientOf({}).entryAt(1n)).entry.logIndex).toBe(1n);
  });

  test('another one, relabelled, whose promise is left out, is refused', async () => {
    await expect(clientOf({ logIndex: 2n, promise: undefined }).entryAt(2n)).rejects.toMatchObject({
      code: 'SET_INVALID',
    });
  });

  test('another one, relabelled under its own promise, is refused', async () => {
    await expect(clientOf({ logIndex: 2n }).entryAt(2n)).rejects.toMatchObject({ code: 'SET_INVALID' });
  });

  test('by its ID it needs the promise too', async () => {
    const id = serializeHex(leafHash(BODY));
    await expect(clientOf({ promise: undefined }).entryOf(id)).rejects.toMatchObject({ code: 'SET_INVALID' });
  });
});

test('an index below the one in the shard is refused, whoever promised it', async () => {
  const promised = ownEntry(KEY, BODY, { index: 0n, time: 1_780_000_000n });
  const { inclusionProof: proof } = ENTRY;
  const answer = {
    [serializeHex(leafHash(BODY))]: {
      body: serializeBase64(BODY),
      integratedTime: Number(promised.integratedTime),
      logID: serializeHex(promised.logId),
      logIndex: 0,
      verification: {
        inclusionProof: {
          checkpoint: proof?.checkpoint,
          hashes: proof?.hashes.map(serializeHex),
          logIndex: 1,
          rootHash: serializeHex(proof?.rootHash ?? new Uint8Array()),
          treeSize: 2,
        },
        signedEntryTimestamp: serializeBase64(promised.inclusionPromise ?? new Uint8Array()),
      },
    },
  };
  const http = fakeHttp(async () => new Response(JSON.stringify(answer)));
  const client = createLogClient(http, { version: 1, url: URL_BASE }, [ownLog(KEY)]);
  await expect(client.entryAt(0n)).rejects.toMatchObject({ code: 'LOG_ENTRY_MISMATCH' });
});

test('checkpoints of two shards with one origin and different keys are not of one log', async () => {
  const shardOf = (key: typeof KEY) => {
    const log = ownLog(key);
    const head = { origin: 'log.example.com', treeSize: 0n, rootHash: sha256(new Uint8Array()) };
    const envelope = signCheckpoint(head, { name: 'log.example.com', keyId: log.logId.subarray(0, 4), key });
    return { log, envelope, checkpoint: head };
  };
  const http = fakeHttp(async () => new Response('', { status: 500 }));
  const [one, other] = [shardOf(KEY), shardOf(generateKey('p256'))];
  const client = createLogClient(http, { version: 2, url: URL_BASE }, [one.log, other.log]);
  const prove = (a: typeof one, b: typeof one) => client.proveConsistency(a as never, b as never);
  expect(await prove(one, one)).toEqual([]);
  await expect(prove(one, other)).rejects.toMatchObject({ code: 'CONSISTENCY_PROOF_WRONG' });
});
