import { type Stats, statSync } from 'node:fs';
import { type Bundle, parseBundle } from '../core/bundle/bundle.ts';
import { requireFewMembers } from '../core/bytes/json.ts';
import { InputError, parseNamed, UsageError, VerificationError, withEvidence } from '../core/errors.ts';
import { readFileBounded, readStdinBounded } from '../core/files.ts';
import { MAX_BUNDLE_BYTES, MAX_BUNDLE_MEMBERS } from '../core/limits.ts';
import { parseDigestReference } from './artifact.ts';
import { shellWord } from './report.ts';

/** What `hallmark sign` adds to a file's name for its bundle. */
export const BUNDLE_SUFFIX = '.sigstore.json';

/**
 * The bundle of an artifact: the one that is named, else the one beside the file. NO_SIGNATURE if there is none there,
 * USAGE if there is no telling where; else the errors of `readBundle`.
 */
export function readBundleOf(artifact: string, named: string | undefined): { bundle: Bundle; path: string } {
  const digest = parseDigestReference(artifact);
  if (named !== undefined) {
    if (named === '-' && artifact === '-') throw new UsageError('artifact and bundle cannot both be on standard input');
    return { bundle: readBundle(named), path: named };
  }
  if (artifact === '-' || digest !== undefined) {
    throw new UsageError('there is no file name to find the bundle by', {
      hint: `hallmark verify ${shellWord(artifact)} --bundle FILE${BUNDLE_SUFFIX} ...`,
    });
  }
  const path = `${artifact}${BUNDLE_SUFFIX}`;
  if (statOf(artifact) === undefined) {
    throw new InputError('INPUT_MISSING', `${artifact} does not exist`, {
      hint: 'name a file that exists, or give its digest as sha256:HEX with --bundle',
    });
  }
  const beside = statOf(path);
  if (beside === undefined) {
    throw new VerificationError('NO_SIGNATURE', 'parse', `${artifact} has no signature beside it (${path})`, {
      evidence: 'bundle',
      hint: `get ${path} from where the file came from, name it with --bundle, or sign: hallmark sign ${shellWord(artifact)}`,
    });
  }
  // Nobody named it: what waits for a writer, or never ends, was put there.
  if (beside !== 'unreadable' && !beside.isFile()) {
    throw new InputError('INPUT_UNREADABLE', `bundle ${path} is not a regular file`, {
      hint: `if it is meant, name it: hallmark verify ${shellWord(artifact)} --bundle ${shellWord(path)} ...`,
    });
  }
  return { bundle: readBundle(path), path };
}

/** Reads and parses a bundle file, or `-` for standard input. INPUT_*, BUNDLE_*. */
export function readBundle(path: string): Bundle {
  const found = path === '-' ? undefined : statOf(path);
  if (typeof found === 'object' && found.size > MAX_BUNDLE_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `bundle ${path} is larger than ${MAX_BUNDLE_BYTES} bytes`, {
      step: 'parse',
      evidence: 'bundle',
      hint: 'is it the right file? Bundles are a few kilobytes',
    });
  }
  if (path === '-') {
    const piped = readStdinBounded(MAX_BUNDLE_BYTES, 'bundle');
    return parsed('bundle on standard input', () => parseBundle(piped));
  }
  const bytes = readFileBounded(path, MAX_BUNDLE_BYTES, 'bundle', undefined, (beginning) =>
    // What is too much is refused before it fills the memory.
    parsed(`bundle ${path}`, () => requireFewMembers(beginning, MAX_BUNDLE_MEMBERS)),
  );
  return parsed(`bundle ${path}`, () => parseBundle(bytes));
}

const parsed = <T>(name: string, parse: () => T): T =>
  parseNamed(name, 'get the bundle again from where it came from; hallmark inspect explains what a bundle says', () =>
    withEvidence('bundle', 'parse', parse),
  );

/** What is there, through links; undefined if nothing. Unreadable folders are left to the read itself, which says what is wrong. */
function statOf(path: string): Stats | 'unreadable' | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return 'unreadable';
  }
}
