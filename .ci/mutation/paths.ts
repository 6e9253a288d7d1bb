// Places in a JSON value.
import type { Json } from '../../core/bytes/json.ts';

export type Path = readonly (string | number)[];

export interface Leaf {
  readonly path: Path;
  readonly value: string | number | boolean;
}

/** Every string, number and truth value. */
export function leavesOf(value: Json, path: Path = []): Leaf[] {
  if (value === null) return [];
  if (typeof value !== 'object') return [{ path, value }];
  return membersOf(value, path).flatMap(([member, at]) => leavesOf(member, at));
}

/** Every member of every object and element of every array, outer ones first. */
export function placesOf(value: Json, path: Path = []): Path[] {
  if (value === null || typeof value !== 'object') return [];
  return membersOf(value, path).flatMap(([member, at]) => [at, ...placesOf(member, at)]);
}

const membersOf = (value: Json[] | { [key: string]: Json }, path: Path): [Json, Path][] =>
  Object.entries(value).map(([key, member]) => [member, [...path, Array.isArray(value) ? Number(key) : key]]);

/** The value at a place, undefined where there is none. */
export function valueAt(root: Json, path: Path): Json | undefined {
  let at: Json | undefined = root;
  for (const key of path) {
    if (at === null || typeof at !== 'object' || !Object.hasOwn(at, key)) return undefined;
    at = (at as Record<string | number, Json>)[key];
  }
  return at;
}

/** A copy with the value at a place changed; undefined removes it. */
export function withValue(root: Json, path: Path, value: Json | undefined): Json {
  const [key, ...rest] = path;
  if (key === undefined) throw new Error('internal: no place');
  const copy = (Array.isArray(root) ? [...root] : { ...(root as object) }) as Record<string | number, Json>;
  if (rest.length > 0) copy[key] = withValue(copy[key] as Json, rest, value);
  else if (value !== undefined) copy[key] = value;
  else if (Array.isArray(copy)) copy.splice(key as number, 1);
  else delete copy[key];
  return copy as Json;
}

export const nameOf = (path: Path): string => path.join('.');
