import { MAX_APPEND_BATCH } from '../core/limits.ts';

/** How long entries wait to be durable, estimated from the commits that were measured. */
export interface Pace {
  /** A commit of so many entries took so long. */
  measured(entries: number, milliseconds: number): void;
  /** Milliseconds until so many entries that wait now are durable. */
  timeFor(entries: number): number;
}

/** Share of the newest measurement in an average: a stall of the disk is forgotten after some twenty commits. */
const WEIGHT = 0.1;
/** Milliseconds for one more entry in a commit, until commits of different sizes tell: those of a slow disk. */
const PER_ENTRY = 0.125;
/** Milliseconds for a commit, until one was measured. */
const PER_COMMIT = 5;
/** Variance of the sizes of commits from which their times tell what one more entry costs. */
const TELLING = 100;

/**
 * The line of least squares through sizes and times of the last commits: what a commit costs whatever is in it, and what one
 * more entry costs. A disk that stalls makes commits slow, not entries, however many happened to be in them.
 */
export function createPace(): Pace {
  let size = 1;
  let time = PER_COMMIT + PER_ENTRY;
  let variance = 0;
  let covariance = 0;
  return {
    measured(entries, milliseconds) {
      const [bySize, byTime] = [entries - size, milliseconds - time];
      size += WEIGHT * bySize;
      time += WEIGHT * byTime;
      variance = (1 - WEIGHT) * (variance + WEIGHT * bySize * bySize);
      covariance = (1 - WEIGHT) * (covariance + WEIGHT * bySize * byTime);
    },
    timeFor(entries) {
      const perEntry = Math.min(variance > TELLING ? Math.max(0, covariance / variance) : PER_ENTRY, time / size);
      const perCommit = time - perEntry * size;
      return Math.ceil(entries / MAX_APPEND_BATCH) * perCommit + entries * perEntry;
    },
  };
}
