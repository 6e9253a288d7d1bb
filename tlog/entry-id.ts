import { parseHex, serializeHex } from '../core/bytes/bytes.ts';

const TREE_ID_BYTES = 8;
const LEAF_HASH_BYTES = 32;

/** Rekor v1's name of an entry: 16 hex digits of tree ID, then 64 of leaf hash. */
export function serializeEntryId(treeId: bigint, leafHash: Uint8Array): string {
  const prefix = treeId.toString(16).padStart(2 * TREE_ID_BYTES, '0');
  return prefix + serializeHex(leafHash);
}

/** Both forms in which clients name an entry: with the tree ID or (64 digits) without. Undefined for anything else. */
export function parseEntryId(text: string): { treeId: bigint | undefined; leafHash: Uint8Array } | undefined {
  if (!/^(?:[0-9a-fA-F]{64}|[0-9a-fA-F]{80})$/.test(text)) return undefined;
  const bytes = parseHex(text.toLowerCase());
  const leafHash = bytes.subarray(-LEAF_HASH_BYTES);
  if (bytes.length === LEAF_HASH_BYTES) return { treeId: undefined, leafHash };
  return { treeId: BigInt(`0x${serializeHex(bytes.subarray(0, TREE_ID_BYTES))}`), leafHash };
}
