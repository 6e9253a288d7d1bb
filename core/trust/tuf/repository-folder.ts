import { join } from 'node:path';
import { parseNamed } from '../../errors.ts';
import { listFolder, makeFolder, readFileBounded, writeFileAtomic } from '../../files.ts';
import { MAX_TRUST_FILE_BYTES } from '../../limits.ts';
import type { Publication } from '../publication.ts';
import { publishRepository, type RepositoryFiles, type RepositoryKeys } from './repository.ts';

/** A TUF repository that is kept in a folder, and what it carries. */
export interface RepositoryFolder {
  readonly files: () => RepositoryFiles;
  readonly publication: () => Publication;
  /** Makes this what the repository carries. FILE_UNWRITABLE; what is published is then the old or the new, and which it is shows again at the next try. */
  readonly publish: (publication: Publication) => void;
  /** Signs again what is due. */
  readonly refresh: () => void;
}

/**
 * Opens or makes the repository in `folder`, carrying `first`. What is on disk is all the state there is. The order of writing
 * is the map's: the timestamp, which names the rest, last. `hint` is the remedy where what lies there is damaged.
 */
export function openRepositoryFolder(
  folder: string,
  keys: RepositoryKeys,
  first: Publication,
  clock: () => Date,
  hint: string,
): RepositoryFolder {
  makeFolder(join(folder, 'targets'), 0o700);
  let files = readRepository(folder);
  let publication = first;
  const refresh = (): void => {
    const build = () => publishRepository(files, keys, publication.targets, clock()).files;
    const next = parseNamed(`TUF repository ${folder}`, hint, build);
    for (const [path, bytes] of next) {
      if (files.get(path) !== bytes) writeFileAtomic(join(folder, path), bytes, 0o600);
    }
    files = next;
  };
  const publish = (next: Publication): void => {
    publication = next;
    refresh();
  };
  refresh();
  return { files: () => files, publication: () => publication, publish, refresh };
}

/** The repository's own file names: what a crash left half written beside them is not read. */
const REPOSITORY_FILE = /^(?:[0-9]+\.(?:root|targets|snapshot)|timestamp)\.json$|^targets\/[0-9a-f]{64}\.[a-z0-9._-]+$/;

function readRepository(folder: string): RepositoryFiles {
  const paths = listFolder(folder).filter((path) => REPOSITORY_FILE.test(path));
  return new Map(paths.map((path) => [path, readFileBounded(join(folder, path), MAX_TRUST_FILE_BYTES, 'TUF file')]));
}
