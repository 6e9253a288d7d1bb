import { MAX_APPEND_BATCH } from '../core/limits.ts';

/** How long entries wait to be durable, estimated from the commits that were measured. */
export interface Pace {
  /** A commit of so many entries took so long. */
  measured(entries: number, milliseconds: number): void;
  /** Milliseconds until so many entries that wait now are durable. */
  timeFor(entries: number): number;
}

/** Share of the newest measurement in an average: a stall of the disk is forgotten after some ten commits. */
const WEIGHT = 0.2;
/** From so many entries on a commit tells what one more entry costs; below, what a commit costs whatever is in it. */
const MANY = 64;

export function createPace(): Pace {
  // What a slow disk does, until something is known.
  let perEntry = 0.125;
  let perCommit = 5;
  const average = (old: number, measured: number): number => old + WEIGHT * (measured - old);
  return {
    measured(entries, milliseconds) {
      if (entries >= MANY) perEntry = average(perEntry, milliseconds / entries);
      else perCommit = average(perCommit, Math.max(0, milliseconds - entries * perEntry));
    },
    timeFor: (entries) => Math.ceil(entries / MAX_APPEND_BATCH) * perCommit + entries * perEntry,
  };
}
