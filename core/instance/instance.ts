import { Fields } from '../bytes/fields.ts';
import { parseJson } from '../bytes/json.ts';
import {
  parseShardHistories,
  ROTATED_LOGS,
  type RotatedLog,
  type ShardHistories,
  shardHistoriesJson,
} from './shard-history.ts';

/** What a data directory can hold: the CA with its CT log and timestamp authority; the transparency log. */
export type Part = 'ca' | 'log';

/** Files that each part has from its first complete start on. Without one a new key or an empty log would take its place. */
const PART_FILES: Record<Part, readonly string[]> = {
  ca: ['keys/ca.pem', 'keys/ct.pem', 'keys/tsa.pem', 'ca-chain.pem', 'tsa-chain.pem'],
  log: ['keys/rekor-v1.pem', 'keys/rekor-v2.pem'],
};
const COMMON_FILES = ['log.db', 'keys/tuf-root.pem', 'keys/tuf-online.pem', 'tuf/1.root.json', 'tuf/timestamp.json'];

/** What every start of a data directory has in common. */
export interface Instance {
  readonly publicUrl: string;
  readonly createdAt: Date;
  /** Parts that were started completely once. */
  readonly parts: readonly Part[];
  readonly shards: ShardHistories;
}

/** Name of the key of a shard from the second on, in the folder `keys`. */
export const shardKeyName = (log: RotatedLog, number: number): string => `rekor-${log}-${number}`;

/** What an instance must have once it was started completely. */
export function filesOf({ parts, shards }: Instance): string[] {
  if (parts.length === 0) return [];
  const shardKeys = ROTATED_LOGS.flatMap((log) =>
    shards[log].records.map((_, i) => `keys/${shardKeyName(log, i + 2)}.pem`),
  );
  return [...COMMON_FILES, ...parts.flatMap((part) => PART_FILES[part]), ...shardKeys];
}

/** The file `instance.json`. */
export function serializeInstance({ publicUrl, createdAt, parts, shards: histories }: Instance): string {
  const shards = shardHistoriesJson(histories);
  const members = { schemaVersion: 1, publicUrl, createdAt: createdAt.toISOString(), parts };
  return `${JSON.stringify({ ...members, ...(shards !== undefined && { shards }) })}\n`;
}

/** The inverse; `path` names it in errors. CONFIG_INVALID. */
export function parseInstance(text: string, path: string): Instance {
  const fields = new Fields(parseJson(text), path, 'CONFIG_INVALID');
  if (fields.optionalInteger('schemaVersion', 1, 1) === undefined) throw fields.fail('schemaVersion', 'missing');
  const publicUrl = fields.string('publicUrl');
  const createdAt = fields.optionalTime('createdAt');
  if (createdAt === undefined) throw fields.fail('createdAt', 'missing');
  const parts = fields.array('parts', 2).map((part) => {
    if (part !== 'ca' && part !== 'log') throw fields.fail('parts', 'expected "ca" and "log"');
    return part;
  });
  const shards = parseShardHistories(fields.optionalObject('shards'));
  fields.end();
  return { publicUrl, createdAt, parts, shards };
}
