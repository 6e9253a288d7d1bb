import type { TransparencyLogEntry } from '../bundle/bundle.ts';
import { dialectOf, parseEntryBody } from '../bundle/entry.ts';
import { signedEntryTimestampPayload } from '../bundle/set.ts';
import { keyDetailsFor } from '../crypto/algorithms.ts';
import { sha256 } from '../crypto/hash.ts';
import { type PrivateKey, sign } from '../crypto/private-key.ts';
import { signCheckpoint } from '../merkle/checkpoint.ts';
import { leafHash, nodeHash } from '../merkle/tree.ts';
import type { LogInstance } from '../trust/trusted-root.ts';

/*
 * Test only: a log that vouches for whatever a test wants, right or wrong.
 */

const HOST = 'log.example.com';

/** The log as a trusted root has it. */
export function ownLog(key: PrivateKey): LogInstance {
  return {
    baseUrl: `https://${HOST}`,
    publicKey: key.publicKey,
    keyDetails: keyDetailsFor(key.publicKey, 'message'),
    logId: sha256(key.publicKey.spki),
    validFor: { start: undefined, end: undefined },
  };
}

/**
 * An entry at index 0 or 1 of a tree of two, under a checkpoint in the style of its dialect or of the other. With `time`
 * (seconds) the log promises it too.
 */
export function ownEntry(
  key: PrivateKey,
  body: Uint8Array,
  options: { readonly index?: 0n | 1n; readonly style?: 1 | 2; readonly time?: bigint } = {},
): TransparencyLogEntry {
  const { index = 0n, time } = options;
  const { kind, version } = parseEntryBody(body);
  const { logId } = ownLog(key);
  const sibling = leafHash(new Uint8Array());
  const leaf = leafHash(body);
  const rootHash = index === 0n ? nodeHash(leaf, sibling) : nodeHash(sibling, leaf);
  const style = options.style ?? dialectOf({ kind, version } as Parameters<typeof dialectOf>[0]);
  const checkpoint = signCheckpoint(
    { origin: style === 1 ? `${HOST} - 42` : HOST, treeSize: 2n, rootHash },
    { name: HOST, keyId: logId.subarray(0, 4), key },
  );
  const promised =
    time === undefined
      ? undefined
      : signedEntryTimestampPayload({ body, integratedTime: time, logId, logIndex: index });
  return {
    logIndex: index,
    logId,
    kindVersion: { kind, version },
    integratedTime: time,
    inclusionPromise: promised === undefined ? undefined : sign(key, promised),
    inclusionProof: { logIndex: index, rootHash, treeSize: 2n, hashes: [sibling], checkpoint },
    canonicalizedBody: body,
  };
}
