import type { Fingerprint } from '../index/rows.ts';
import type { Seeker } from './seek.ts';

/** What is asked of the entries of one tree. All of it has to hold. */
export interface IndexQuery {
  /** Of each group one key at least. */
  readonly groups: readonly (readonly Fingerprint[])[];
  /** Bytes with which a name begins; undefined: any. */
  readonly prefix: Uint8Array | undefined;
  /** Seconds since 1970, from and before which. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

/** Neighbouring entries of a tree that can be searched: in memory, or in a file. */
export interface SearchSource {
  readonly start: number;
  readonly end: number;
  /** One for each thing that is asked; undefined if there is one that no entry has. */
  seekers(query: IndexQuery): Seeker[] | undefined;
  /** When the entry at a place was logged, in seconds since 1970. */
  secondsAt(place: number): number;
}

export const isWithin = (seconds: number, { since, until }: IndexQuery): boolean =>
  (since === undefined || seconds >= since) && (until === undefined || seconds < until);
