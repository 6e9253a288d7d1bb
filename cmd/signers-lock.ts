import { existsSync } from 'node:fs';
import { parseNamed } from '../core/errors.ts';
import { readFileBounded, writeFileAtomic } from '../core/files.ts';
import { MAX_POLICY_BYTES } from '../core/limits.ts';
import { parsePins, serializePins } from '../core/verify/policy-lock.ts';
import type { Pins } from '../core/verify/policy-pin.ts';

/** What `hallmark pin` calls its file. */
export const SIGNERS_LOCK = 'signers.lock';

/** Reads a signers.lock. INPUT_*, PINS_INVALID. */
export function readPins(path: string): Pins {
  const bytes = readFileBounded(path, MAX_POLICY_BYTES, SIGNERS_LOCK, 'hallmark pin FILE makes one');
  return parseNamed(path, 'restore it from version control, or make it again: hallmark pin', () => parsePins(bytes));
}

/** The same, but no pins where there is no file yet. */
export const readPinsIfThere = (path: string): Pins => (existsSync(path) ? readPins(path) : new Map());

export function writePins(path: string, pins: Pins): void {
  writeFileAtomic(path, serializePins(pins), 0o644);
}
