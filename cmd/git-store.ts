import { concat } from '../core/bytes/bytes.ts';
import { InputError } from '../core/errors.ts';
import { MAX_GIT_OBJECT_BYTES } from '../core/limits.ts';
import type { ObjectFormat } from '../gitsign/object.ts';
import { type ObjectKind, objectId } from '../gitsign/object-id.ts';
import { type CommitLinks, parseCommitLinks, parseTree, type TreeEntry } from '../gitsign/snapshot.ts';
import { spawnGit } from './git-process.ts';
import { INCOMPLETE } from './git-refs.ts';

const KINDS: readonly string[] = ['commit', 'tag', 'tree', 'blob'] satisfies ObjectKind[];
/** Trees and commits that are kept, each once parsed: those of one commit are mostly those of the next. */
const MAX_KEPT = 10_000;

/**
 * The next answer of `git cat-file --batch`, which has to be this object. It is held to its ID, so that what is verified is what the
 * ID names, whatever the repository's files say. INPUT_MISSING, INPUT_TOO_LARGE, GIT_OBJECT_INVALID.
 */
export async function takeObject(
  reader: ByteReader,
  id: string,
  format: ObjectFormat,
): Promise<{ kind: ObjectKind; body: Uint8Array }> {
  const [named, kind = '', size = ''] = (await reader.line()).split(' ');
  if (named !== id || !/^\d{1,12}$/.test(size)) {
    throw new InputError('INPUT_MISSING', `the repository does not have the object ${id}`, { hint: INCOMPLETE });
  }
  if (Number(size) > MAX_GIT_OBJECT_BYTES) {
    throw new InputError('INPUT_TOO_LARGE', `the object ${id} has more than ${MAX_GIT_OBJECT_BYTES} bytes`);
  }
  const body = await reader.bytes(Number(size));
  await reader.bytes(1);
  if (!isKind(kind) || objectId(kind, body, format) !== id) {
    throw new InputError('GIT_OBJECT_INVALID', `the object ${id} is not what its ID says: the repository is damaged`, {
      hint: 'git fsck',
    });
  }
  return { kind, body };
}

const isKind = (kind: string): kind is ObjectKind => KINDS.includes(kind);

/** Objects by ID, one after the other as they are needed, through one `git cat-file`. To be closed. */
export class ObjectStore {
  readonly #format: ObjectFormat;
  readonly #links = new Map<string, CommitLinks>();
  readonly #trees = new Map<string, ReadonlyMap<string, TreeEntry>>();
  #child: { readonly process: ReturnType<typeof spawnGit>; readonly reader: ByteReader } | undefined;

  constructor(format: ObjectFormat) {
    this.#format = format;
  }

  /** The body of an object of this kind, held to its ID. INPUT_MISSING, INPUT_TOO_LARGE, GIT_OBJECT_INVALID */
  async read(id: string, kind: ObjectKind): Promise<Uint8Array> {
    if (this.#child === undefined) {
      const process = spawnGit(['cat-file', '--batch']);
      this.#child = { process, reader: new ByteReader(process.stdout) };
    }
    const { process, reader } = this.#child;
    process.stdin.write(`${id}\n`);
    await process.stdin.flush();
    const found = await takeObject(reader, id, this.#format);
    if (found.kind === kind) return found.body;
    throw new InputError('GIT_OBJECT_INVALID', `the object ${id} is a ${found.kind} where a ${kind} goes`);
  }

  async links(commit: string): Promise<CommitLinks> {
    return this.#links.get(commit) ?? keep(this.#links, commit, parseCommitLinks(await this.read(commit, 'commit')));
  }

  async tree(id: string): Promise<ReadonlyMap<string, TreeEntry>> {
    return this.#trees.get(id) ?? keep(this.#trees, id, parseTree(await this.read(id, 'tree'), this.#format));
  }

  async close(): Promise<void> {
    this.#child?.process.kill();
    await this.#child?.process.exited;
    this.#child = undefined;
  }
}

function keep<T>(kept: Map<string, T>, id: string, value: T): T {
  if (kept.size >= MAX_KEPT) kept.clear();
  kept.set(id, value);
  return value;
}

/** Takes lines and counted bytes from a stream. */
export class ByteReader {
  readonly #reader: { read(): Promise<{ readonly value?: Uint8Array | undefined }> };
  #buffer: Uint8Array = new Uint8Array();
  #at = 0;

  constructor(stream: ReadableStream<Uint8Array>) {
    this.#reader = stream.getReader();
  }

  async #chunk(): Promise<Uint8Array> {
    const { value } = await this.#reader.read();
    if (value === undefined) throw new InputError('INPUT_UNREADABLE', 'git ended before it had given every object');
    return value;
  }

  async #more(): Promise<void> {
    const value = await this.#chunk();
    this.#buffer = this.#at === this.#buffer.length ? value : concat(this.#buffer.subarray(this.#at), value);
    this.#at = 0;
  }

  async line(): Promise<string> {
    for (;;) {
      const end = this.#buffer.indexOf(0x0a, this.#at);
      if (end >= 0) {
        const text = Buffer.from(this.#buffer.subarray(this.#at, end)).toString('latin1');
        this.#at = end + 1;
        return text;
      }
      await this.#more();
    }
  }

  async bytes(count: number): Promise<Uint8Array> {
    if (this.#buffer.length - this.#at < count) {
      const parts = [this.#buffer.subarray(this.#at)];
      let length = parts[0]?.length ?? 0;
      while (length < count) {
        const value = await this.#chunk();
        parts.push(value);
        length += value.length;
      }
      this.#buffer = concat(...parts);
      this.#at = 0;
    }
    const taken = this.#buffer.subarray(this.#at, this.#at + count);
    this.#at += count;
    return taken;
  }
}
