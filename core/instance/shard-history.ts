import type { Fields } from '../bytes/fields.ts';
import type { Json } from '../bytes/json.ts';
import { MAX_LOG_SHARDS, MAX_LOG_SIZE } from '../limits.ts';

/** The logs that go on in a new shard with a key of its own when their operator wants it. */
export const ROTATED_LOGS = ['v1', 'v2'] as const;
export type RotatedLog = (typeof ROTATED_LOGS)[number];

/** What has to be remembered of every shard but the first. */
export interface ShardRecord {
  /** When it took over from the one before. */
  readonly since: Date;
  /** Entries in all shards before it. */
  readonly first: bigint;
  /** Where it is reached, for ever: without a final slash. */
  readonly url: string;
}

/** What rotations made of a log; without any there is one shard. */
export interface ShardHistory {
  readonly records: readonly ShardRecord[];
  /** Not even the last shard grows any more. */
  readonly frozen: boolean;
}

export type ShardHistories = Readonly<Record<RotatedLog, ShardHistory>>;

export const NO_HISTORY: ShardHistories = {
  v1: { records: [], frozen: false },
  v2: { records: [], frozen: false },
};

/** The member `shards` of an instance file; absent where nothing was ever rotated or frozen. CONFIG_INVALID. */
export function parseShardHistories(shards: Fields | undefined): ShardHistories {
  if (!shards) return NO_HISTORY;
  const parsed = ROTATED_LOGS.map((name): [RotatedLog, ShardHistory] => {
    const log = shards.optionalObject(name);
    if (!log) return [name, NO_HISTORY[name]];
    const records = log.objects('later', MAX_LOG_SHARDS).map((record): ShardRecord => {
      const since = record.optionalTime('since');
      if (!since) throw record.fail('since', 'missing');
      const parsedRecord = { since, first: record.bigint('first', MAX_LOG_SIZE), url: record.string('url') };
      if (!URL.canParse(parsedRecord.url)) throw record.fail('url', 'expected a URL');
      record.end();
      return parsedRecord;
    });
    const frozen = log.optionalBoolean('frozen') ?? false;
    log.end();
    return [name, { records, frozen }];
  });
  shards.end();
  return { ...NO_HISTORY, ...Object.fromEntries(parsed) };
}

/** The inverse: undefined where there is nothing to remember. */
export function shardHistoriesJson(histories: ShardHistories): Json | undefined {
  const logs = ROTATED_LOGS.flatMap((name) => {
    const { records, frozen } = histories[name];
    if (records.length === 0 && !frozen) return [];
    const later = records.map(({ since, first, url }) => ({ since: since.toISOString(), first: `${first}`, url }));
    return [[name, { later, frozen }]];
  });
  return logs.length === 0 ? undefined : Object.fromEntries(logs);
}
