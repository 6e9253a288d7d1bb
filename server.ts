import { chmodSync, existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createCertificateAuthority } from './ca/authority.ts';
import { createCaChain, createTsaChain } from './ca/chain.ts';
import { createDevIssuer } from './ca/dev-issuer.ts';
import { type Issuer, issuerTable } from './ca/issuers.ts';
import { openKeyStore } from './ca/key-store.ts';
import { createTimestampAuthority } from './ca/timestamp.ts';
import { parseUtf8, serializeHex } from './core/bytes/bytes.ts';
import { Fields } from './core/bytes/fields.ts';
import { parseJson } from './core/bytes/json.ts';
import { sha256 } from './core/crypto/hash.ts';
import type { PrivateKey } from './core/crypto/private-key.ts';
import { HallmarkError, InputError, parseNamed, StorageError, TrustError } from './core/errors.ts';
import { acquireLock, makeFolder, readFileBounded, writeFileAtomic } from './core/files.ts';
import type { FetchLike } from './core/http/client.ts';
import { createDispatch } from './core/http/dispatch.ts';
import { type Handle, jsonResponse, type Peer } from './core/http/front-end.ts';
import type { Rate } from './core/http/rate-limit.ts';
import { MAX_KEY_FILE_BYTES, MAX_LOG_REQUEST_BYTES, MAX_NOTE_BYTES, MAX_TRUST_FILE_BYTES } from './core/limits.ts';
import { createMetrics, METRICS_CONTENT_TYPE, type Metrics } from './core/metrics.ts';
import { type Publication, publicationOf } from './core/trust/publication.ts';
import { publishRepository, type RepositoryFiles, type RepositoryKeys } from './core/trust/tuf/repository.ts';
import { type Certificate, parseCertificatesPem, serializeCertificatePem } from './core/x509/certificate.ts';
import { type AdminActions, createAdmin } from './tlog/admin.ts';
import { ADMIN_SOCKET } from './tlog/admin-socket.ts';
import { NO_HISTORY, parseShardHistories, type ShardHistories, shardHistoriesJson } from './tlog/shard-history.ts';
import {
  createTransparencyLog,
  type PublishedLogs,
  ROTATED_LOGS,
  type RotatedLog,
  type ShardHistory,
  type Witnessing,
} from './tlog/transparency-log.ts';
import type { PublishingEvent, WitnessPolicy } from './tlog/witnessed-log.ts';

/** One line of the server's own log. Never carries a key, a token or a request's body. */
export type ServerLog = (level: 'info' | 'error', event: string, fields?: Record<string, unknown>) => void;

export interface StackConfig {
  /** Data directory; made on first start. */
  readonly data: string;
  /** Where clients reach the stack, without a final slash. Fixed at first start: certificates, origins and trust files carry it. */
  readonly publicUrl: string;
  /** What runs: all; the CA with its CT log, timestamp authority and issuer; or the transparency log. */
  readonly part: 'all' | 'ca' | 'log';
  /** Issuers whose tokens the CA accepts; undefined: the embedded development issuer alone. */
  readonly issuers: readonly Issuer[] | undefined;
  /** The development issuer answers strangers too: whoever reaches it can be anybody. */
  readonly exposeDevIssuer: boolean;
  /** Witnesses that the v2 log asks before it publishes; undefined: it publishes every head at once. */
  readonly witness?: WitnessPolicy | undefined;
  /** How much one client or identity may do; what is undefined is as in DEFAULT_LIMITS. */
  readonly limits?: Partial<Limits>;
}

export interface Limits {
  /** Requests of one client: an IPv4 address or an IPv6 /64. This machine's own have no limit. */
  readonly client: Rate;
  /** Header in which a trusted proxy names the client; undefined: nobody stands before the server. */
  readonly clientHeader: string | undefined;
  /** Certificates of one identity: issuer and subject alternative name. */
  readonly certificates: Rate;
  /** New entries of one key in the logs. */
  readonly entries: Rate;
}

/**
 * Room for a monitor that reads every entry and a company behind one address, and for a release that signs hundreds of
 * files; far below what overloads the server.
 */
export const DEFAULT_LIMITS: Limits = {
  client: { perMinute: 6_000, burst: 1_000 },
  clientHeader: undefined,
  certificates: { perMinute: 120, burst: 600 },
  entries: { perMinute: 600, burst: 3_000 },
};

export interface StackDependencies {
  readonly clock: () => Date;
  readonly random: (bytes: number) => Uint8Array;
  readonly fetch: FetchLike;
  readonly log: ServerLog;
}

/** A complete Sigstore without a socket: `serve` gives it one, tests call `handle`. */
export interface Stack {
  readonly publicUrl: string;
  /** URL of the embedded issuer, undefined where it is off. */
  readonly devIssuer: string | undefined;
  /** SHA-256 of the first TUF root, lower-case hexadecimal. */
  readonly rootFingerprint: string;
  readonly handle: (request: Request, peer: Peer) => Promise<Response>;
  readonly metrics: Metrics;
  /** What the operator of the running server may do: see AdminActions. */
  readonly admin: Handle;
  /** Signs what is due of the TUF repository again. */
  readonly refresh: () => void;
  readonly close: () => Promise<void>;
}

/** Path of the embedded issuer; collides with no path of Fulcio, Rekor, TSA, CT or TUF. */
const DEV_ISSUER_PATH = '/oidc';
/** Validities start this long before first start, so that a client whose clock is behind accepts them. */
const BACKDATED_MS = 60_000;
/** How often the TUF repository is looked at for what is due; its shortest renewal is a day. */
const REFRESH_MS = 60 * 60_000;
/** How long requests in flight may take to end once the server is told to stop. */
const DRAIN_MS = 10_000;

/**
 * Opens or creates the data directory and builds the stack on it:
 * lock -> instance -> keys -> chains -> log -> issuer, CA, timestamp authority -> published trust.
 */
export async function createStack(config: StackConfig, dependencies: StackDependencies): Promise<Stack> {
  const { clock, random, fetch, log } = dependencies;
  const metrics = createMetrics();
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  makeFolder(config.data, 0o700);
  const lock = await acquireLock(join(config.data, 'lock'));
  const opened: (() => Promise<void>)[] = [async () => lock.release()];
  const close = async (): Promise<void> => {
    for (const step of opened.splice(0).reverse()) await step();
  };
  try {
    let instance = openInstance(config, clock());
    const { publicUrl, createdAt } = instance;
    const keys = openKeyStore(join(config.data, 'keys'));
    const key = (name: string): PrivateKey => keys.loadOrCreate(name, 'p256');
    const hasCa = config.part !== 'log';
    const hasLog = config.part !== 'ca';
    const organization = new URL(publicUrl).hostname;
    const newChain = (create: typeof createCaChain, name: string) => (): Certificate[] =>
      create({ rootKey: key(`${name}-root`), key: key(name).publicKey, organization, now: createdAt, random });
    const caChain = hasCa ? openChain(config.data, 'ca', newChain(createCaChain, 'ca')) : undefined;
    const tsaChain = hasCa ? openChain(config.data, 'tsa', newChain(createTsaChain, 'tsa')) : undefined;

    const tlog = await createTransparencyLog({
      directory: config.data,
      keys: {
        v1: hasLog ? key('rekor-v1') : undefined,
        v2: hasLog ? keys.loadOrCreate('rekor-v2', 'ed25519') : undefined,
        ct: hasCa ? key('ct') : undefined,
      },
      established: [
        ...(hasLog && instance.parts.includes('log') ? (['v1', 'v2'] as const) : []),
        ...(hasCa && instance.parts.includes('ca') ? (['ct'] as const) : []),
      ],
      ctRoots: caChain?.slice(-1) ?? [],
      publicUrl,
      entryRate: limits.entries,
      history: instance.shards,
      // A shard's key is one of the files that an instance must not lose, so what is made here is new.
      shardKey: (name, number) => keys.loadOrCreate(shardKeyName(name, number), name === 'v1' ? 'p256' : 'ed25519'),
      clock,
      random,
      metrics,
      onFault: (error) => log('error', 'transparency log failed', { error: causes(error) }),
      onIndexFault: (error) => log('info', 'an index of the log is made again', { why: causes(error) }),
      witnessing: hasLog ? openWitnessing(config, fetch, log) : undefined,
    });
    opened.push(tlog.close);
    const fronts: Handle[] = [tlog.handle];

    let devIssuer: string | undefined;
    if (caChain && tsaChain && tlog.ctLog) {
      let issuers = config.issuers;
      if (issuers === undefined) {
        devIssuer = `${publicUrl}${DEV_ISSUER_PATH}`;
        const rsaKey = keys.loadOrCreateRsa('dev-issuer', 2048);
        // Made while the rest starts; who needs it first waits for it, and sees its failure.
        const made = rsaKey.then(
          () => undefined,
          (error: unknown) => log('error', 'the development issuer has no key', { error: causes(error) }),
        );
        // Nothing is written once the lock is released.
        opened.push(() => made);
        const reach = config.exposeDevIssuer ? 'dangerously-everyone' : 'loopback';
        const embedded = createDevIssuer({ url: devIssuer, clock, random, key: () => rsaKey, reach });
        fronts.push(embedded.handle);
        issuers = [embedded.issuer];
      }
      const report = (problem: unknown): void =>
        log('error', 'certificate authority failed', { error: causes(problem) });
      const authority = { key: key('ca'), chain: caChain, issuers: issuerTable(issuers), ctLog: tlog.ctLog };
      const rate = limits.certificates;
      fronts.push(createCertificateAuthority({ ...authority, clock, random, fetch, metrics, rate, report }).handle);
      fronts.push(
        createTimestampAuthority({ key: key('tsa'), chain: tsaChain, clock, random, metrics, report }).handle,
      );
    }

    const publicationWith = (logs: PublishedLogs): Publication =>
      publicationOf({
        publicUrl,
        validFrom: new Date(createdAt.getTime() - BACKDATED_MS),
        caChain,
        tsaChain,
        ctLog: tlog.ct,
        rekorV1: logs.v1,
        rekorV2: logs.v2,
        issuer: devIssuer ?? config.issuers?.[0]?.url,
      });
    const repository = openRepository(
      join(config.data, 'tuf'),
      { root: key('tuf-root'), online: key('tuf-online') },
      publicationWith(tlog.published()),
      clock,
    );
    fronts.push((request, url, peer) =>
      answerDocument(request, url, peer, repository.publication(), repository.files()),
    );
    instance = establishInstance(config, instance);

    const remember = (name: RotatedLog, history: ShardHistory): void => {
      const next = { ...instance, shards: { ...instance.shards, [name]: history } };
      writeInstance(config.data, next);
      instance = next;
    };
    const actions: AdminActions = {
      async rotate(name, url) {
        if (name === 'v2' && config.witness)
          requireOwnHost(
            url,
            tlog.published().v2.map(({ baseUrl }) => baseUrl),
          );
        try {
          await tlog.rotate(name, url, {
            publish: (logs) => repository.publish(publicationWith(logs)),
            commit: (record) => remember(name, { records: [...instance.shards[name].records, record], frozen: false }),
          });
        } catch (error) {
          // What was published for a shard that did not come to be.
          repository.publish(publicationWith(tlog.published()));
          throw error;
        }
        log('info', 'log rotated', { log: name });
      },
      async freeze(name) {
        await tlog.freeze(name, () => remember(name, { ...instance.shards[name], frozen: true }));
        log('info', 'log frozen', { log: name });
      },
      describe: tlog.describe,
    };
    return {
      publicUrl,
      devIssuer,
      rootFingerprint: serializeHex(sha256(repository.files().get('1.root.json') ?? new Uint8Array())),
      handle: createDispatch({
        fronts,
        metrics,
        clock,
        monotonic: () => performance.now(),
        timer: (milliseconds, action) => {
          const timer = setTimeout(action, milliseconds);
          return { cancel: () => clearTimeout(timer) };
        },
        clientRate: limits.client,
        clientHeader: limits.clientHeader,
        onFault: (error) => log('error', 'request failed', { error: causes(error) }),
      }),
      metrics,
      admin: createAdmin(actions, (error) =>
        log('error', 'an administrative request failed', { error: causes(error) }),
      ),
      refresh: repository.refresh,
      close,
    };
  } catch (error) {
    await close();
    throw damaged(config.data, error);
  }
}

/** What a shard of the log published last of what its witnesses cosigned. */
const PUBLISHED_FILE = /^published-v2(?:s[0-9]+)?\.note$/;
/** How often the same trouble with witnesses is told. */
const REPEAT_MS = 60_000;

function openWitnessing(
  { data, witness: policy }: StackConfig,
  fetch: FetchLike,
  log: ServerLog,
): Witnessing | undefined {
  if (policy === undefined) {
    // What is published without witnesses goes beyond it: it must not come back with them.
    for (const name of readdirSync(data)) if (PUBLISHED_FILE.test(name)) rmSync(join(data, name));
    return undefined;
  }
  let told = { what: '', at: 0 };
  const tell = (event: PublishingEvent): void => {
    if (event.kind === 'published') return;
    const [what, fields] =
      event.kind === 'fault'
        ? ['the cosigned checkpoint could not be published', { error: causes(event.error) }]
        : [
            event.published
              ? 'a checkpoint was published without enough witnesses'
              : 'no checkpoint is published: too few witnesses',
            { have: event.have, want: policy.threshold, missing: event.missing.map(causes) },
          ];
    if (told.what === what && performance.now() - told.at < REPEAT_MS) return;
    told = { what, at: performance.now() };
    log('error', what, fields);
  };
  return {
    policy,
    fetch,
    head: (tree) => {
      const path = join(data, `published-${tree}.note`);
      return {
        load: async () =>
          existsSync(path) ? parseUtf8(readFileBounded(path, MAX_NOTE_BYTES, 'published checkpoint')) : undefined,
        save: async (checkpoint) => writeFileAtomic(path, checkpoint, 0o600),
      };
    },
    onEvent: tell,
  };
}

// A witness knows a log by its origin, which is the host, and refuses one that begins anew under it.
function requireOwnHost(url: string | undefined, taken: readonly string[]): void {
  const hostOf = (each: string): string => new URL(each).hostname;
  if (url !== undefined && !taken.map(hostOf).includes(hostOf(url))) return;
  throw new InputError('CONFIG_INVALID', 'witnesses know a log by its host, so the new shard needs one of its own', {
    hint: 'give it a name that leads to this server: hallmark log rotate --v2 --url https://log2.example.com',
  });
}

// What cannot be parsed or trusted in here came from the data directory: nothing of it is outside input.
function damaged(data: string, error: unknown): unknown {
  if (!(error instanceof InputError || error instanceof TrustError)) return error;
  return new StorageError('INSTANCE_DAMAGED', `the data directory ${data} is damaged: ${error.message}`, {
    hint: error.hint ?? RESTORE,
    cause: error,
  });
}

const RESTORE = 'restore the whole directory from one backup, or start a new instance with another --data';

type Part = 'ca' | 'log';

/** Files that each part has from its first complete start on. Without one a new key or an empty log would take its place. */
const PART_FILES: Record<Part, readonly string[]> = {
  ca: ['keys/ca.pem', 'keys/ct.pem', 'keys/tsa.pem', 'ca-chain.pem', 'tsa-chain.pem'],
  log: ['keys/rekor-v1.pem', 'keys/rekor-v2.pem'],
};
const COMMON_FILES = ['log.db', 'keys/tuf-root.pem', 'keys/tuf-online.pem', 'tuf/1.root.json', 'tuf/timestamp.json'];

/** What every start of a data directory has in common. */
interface Instance {
  readonly publicUrl: string;
  readonly createdAt: Date;
  /** Parts that were started completely once. */
  readonly parts: readonly Part[];
  readonly shards: ShardHistories;
}

const shardKeyName = (log: RotatedLog, number: number): string => `rekor-${log}-${number}`;

/** What an instance must have once it was started completely. */
function filesOf({ parts, shards }: Instance): string[] {
  if (parts.length === 0) return [];
  const shardKeys = ROTATED_LOGS.flatMap((log) =>
    shards[log].records.map((_, i) => `keys/${shardKeyName(log, i + 2)}.pem`),
  );
  return [...COMMON_FILES, ...parts.flatMap((part) => PART_FILES[part]), ...shardKeys];
}

// A start that names another URL, or finds a file gone, would fork what clients trust: it is refused before it writes.
function openInstance(config: StackConfig, now: Date): Instance {
  const path = join(config.data, 'instance.json');
  // It is the first file that a first start writes: where others are there without it, it was lost.
  if (!existsSync(path) && ['keys', 'log.db', 'tuf'].some((name) => existsSync(join(config.data, name)))) {
    throw lostFile(config.data, 'instance.json');
  }
  const createdAt = new Date(Math.floor(now.getTime() / 1000) * 1000);
  const text = openText(path, MAX_TRUST_FILE_BYTES, 'instance file', () =>
    serializeInstance({ publicUrl: config.publicUrl, createdAt, parts: [], shards: NO_HISTORY }),
  );
  const instance = parseNamed(path, RESTORE, () => parseInstance(text, path));
  const { publicUrl } = instance;
  if (publicUrl !== config.publicUrl) {
    const message = `the data directory ${config.data} belongs to ${publicUrl}, not to ${config.publicUrl}`;
    throw new StorageError('INSTANCE_MISMATCH', message, {
      hint: `keep its URL with --url ${publicUrl}, or start a new instance with another --data`,
    });
  }
  const lost = filesOf(instance).find((file) => !existsSync(join(config.data, file)));
  if (lost !== undefined) throw lostFile(config.data, lost);
  return instance;
}

const lostFile = (data: string, file: string): StorageError =>
  new StorageError('INSTANCE_INCOMPLETE', `the data directory ${data} has lost ${file}`, { hint: RESTORE });

function establishInstance(config: StackConfig, instance: Instance): Instance {
  const started: Part[] = config.part === 'all' ? ['ca', 'log'] : [config.part];
  const parts = [...new Set([...instance.parts, ...started])];
  if (parts.length === instance.parts.length) return instance;
  const established = { ...instance, parts };
  writeInstance(config.data, established);
  return established;
}

const writeInstance = (data: string, instance: Instance): void =>
  writeFileAtomic(join(data, 'instance.json'), serializeInstance(instance), 0o600);

function serializeInstance({ publicUrl, createdAt, parts, shards: histories }: Instance): string {
  const shards = shardHistoriesJson(histories);
  const members = { schemaVersion: 1, publicUrl, createdAt: createdAt.toISOString(), parts };
  return `${JSON.stringify({ ...members, ...(shards !== undefined && { shards }) })}\n`;
}

function parseInstance(text: string, path: string): Instance {
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

function openChain(data: string, name: string, create: () => Certificate[]): Certificate[] {
  const pem = (): string => create().map(serializeCertificatePem).join('');
  const path = join(data, `${name}-chain.pem`);
  const text = openText(path, MAX_KEY_FILE_BYTES, 'certificate chain', pem);
  return parseNamed(path, RESTORE, () => parseCertificatesPem(text));
}

// Created once, durable before it is used.
function openText(path: string, max: number, what: string, create: () => string): string {
  try {
    return parseUtf8(readFileBounded(path, max, what));
  } catch (error) {
    if (!(error instanceof InputError) || error.code !== 'INPUT_MISSING') throw error;
    const text = create();
    writeFileAtomic(path, text, 0o600);
    return text;
  }
}

interface Repository {
  readonly files: () => RepositoryFiles;
  readonly publication: () => Publication;
  /** Makes this what the repository carries. FILE_UNWRITABLE; what is published is then the old or the new, and which it is shows again at the next try. */
  readonly publish: (publication: Publication) => void;
  readonly refresh: () => void;
}

// What is on disk is all the state there is. The order of writing is the map's: the timestamp, which names the rest, last.
function openRepository(folder: string, keys: RepositoryKeys, first: Publication, clock: () => Date): Repository {
  makeFolder(join(folder, 'targets'), 0o700);
  let files = readRepository(folder);
  let publication = first;
  const refresh = (): void => {
    const build = () => publishRepository(files, keys, publication.targets, clock()).files;
    const next = parseNamed(`TUF repository ${folder}`, RESTORE, build);
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
  const paths = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((path) => REPOSITORY_FILE.test(path));
  return new Map(paths.map((path) => [path, readFileBounded(join(folder, path), MAX_TRUST_FILE_BYTES, 'TUF file')]));
}

function answerDocument(
  request: Request,
  url: URL,
  peer: Peer,
  publication: Publication,
  files: RepositoryFiles,
): Response | undefined {
  const { pathname } = url;
  const tuf = pathname.startsWith('/tuf/') ? files.get(pathname.slice('/tuf/'.length)) : undefined;
  const document = publication.documents.get(pathname) ?? (tuf && { contentType: 'application/json', bytes: tuf });
  const known = document !== undefined || pathname === '/healthz' || pathname === '/';
  if (!known) return undefined;
  peer.matched?.(tuf === undefined ? pathname : '/tuf/{file}');
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return jsonResponse(405, { code: 405, message: 'method not allowed' });
  if (pathname === '/healthz') return jsonResponse(200, { status: 'SERVING' });
  if (document === undefined)
    return new Response(frontPage(publication), { headers: { 'content-type': 'text/plain; charset=utf-8' } });
  const cacheControl = pathname === '/tuf/timestamp.json' ? 'no-cache' : 'public, max-age=60';
  return new Response(document.bytes, {
    headers: { 'content-type': document.contentType, 'cache-control': cacheControl },
  });
}

const frontPage = (publication: Publication): string =>
  ['Hallmark: a Sigstore instance', '', ...[...publication.documents.keys()], '/tuf/', '/healthz', ''].join('\n');

// For the operator's log: what failed, and down to the last cause why.
function causes(error: unknown): string {
  const { cause } = error as { cause?: unknown };
  const code = error instanceof HallmarkError ? ` [${error.code}]` : '';
  return `${String(error)}${code}${cause === undefined ? '' : `; because ${causes(cause)}`}`;
}

export interface ServeConfig extends Omit<StackConfig, 'publicUrl'> {
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Undefined: the address that is listened on. */
  readonly publicUrl: string | undefined;
  /** Where `/metrics` answers; undefined: nowhere. */
  readonly metrics: { readonly hostname: string; readonly port: number } | undefined;
}

export interface RunningServer {
  readonly publicUrl: string;
  readonly devIssuer: string | undefined;
  readonly rootFingerprint: string;
  /** Where metrics are read; undefined where they are off. */
  readonly metricsUrl: string | undefined;
  /** Answers what is in flight, then closes the stack. */
  readonly stop: () => Promise<void>;
}

/**
 * Binds the port, then opens the stack, so that a port in use changes nothing on disk. PORT_IN_USE, ADDRESS_UNAVAILABLE,
 * and what `createStack` throws.
 */
export async function serve(config: ServeConfig, dependencies: StackDependencies): Promise<RunningServer> {
  let stack: Stack | undefined;
  const metrics = config.metrics && bind(config.metrics, async (request) => answerMetrics(request, stack));
  const server = bind(config.listen, async (request, listener) => {
    const address = listener.requestIP(request)?.address ?? '';
    if (stack) return stack.handle(request, { address, loopback: isLoopback(address) });
    return jsonResponse(503, { code: 503, message: 'starting' }, { 'retry-after': '1' });
  });
  try {
    const host = config.listen.hostname.includes(':') ? `[${config.listen.hostname}]` : config.listen.hostname;
    const publicUrl = config.publicUrl ?? `http://${host}:${server.port}`;
    stack = await createStack({ ...config, publicUrl }, dependencies);
  } catch (error) {
    await server.stop(true);
    await metrics?.stop(true);
    throw error;
  }
  const endSelfMetrics = addSelfMetrics(stack.metrics);
  const admin = bindAdmin(config.data, stack.admin, dependencies.log);
  const { publicUrl, devIssuer, rootFingerprint, refresh, close } = stack;
  const timer = setInterval(() => {
    try {
      refresh();
    } catch (error) {
      dependencies.log('error', 'the TUF repository could not be renewed', { error: causes(error) });
    }
  }, REFRESH_MS);
  const stop = async (): Promise<void> => {
    clearInterval(timer);
    endSelfMetrics();
    await admin?.stop(true);
    await metrics?.stop(true);
    await drain(server);
    await close();
  };
  return { publicUrl, devIssuer, rootFingerprint, metricsUrl: metrics && `${metrics.url.origin}/metrics`, stop };
}

function answerMetrics(request: Request, stack: Stack | undefined): Response {
  if (URL.parse(request.url)?.pathname !== '/metrics') return new Response(null, { status: 404 });
  if (request.method !== 'GET' && request.method !== 'HEAD') return new Response(null, { status: 405 });
  if (!stack) return new Response(null, { status: 503, headers: { 'retry-after': '1' } });
  return new Response(stack.metrics.render(), { headers: { 'content-type': METRICS_CONTENT_TYPE } });
}

/** How often the event loop is asked whether it keeps time. */
const LOOP_PROBE_MS = 100;
const LOOP_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

// The names that Prometheus' own clients use, so that existing dashboards and alarms find them.
function addSelfMetrics(metrics: Metrics): () => void {
  const started = Date.now() / 1000 - process.uptime();
  metrics.gauge('process_start_time_seconds', 'Start of the process, Unix time.', [], () => [[started]]);
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', [], () => [[process.memoryUsage.rss()]]);
  metrics.gauge('process_open_fds', 'Open file descriptors.', [], () => {
    // Absent where the system does not tell.
    const folder = ['/proc/self/fd', '/dev/fd'].find((path) => existsSync(path));
    return folder === undefined ? [] : [[readdirSync(folder).length]];
  });
  metrics.counted('process_cpu_seconds_total', 'CPU time of the process, in user and system mode.', [], () => {
    const { user, system } = process.cpuUsage();
    return [[(user + system) / 1e6]];
  });
  const delay = metrics.histogram('hallmark_event_loop_delay_seconds', 'How late a timer was.', LOOP_BUCKETS);
  let due = performance.now() + LOOP_PROBE_MS;
  const probe = setInterval(() => {
    const now = performance.now();
    delay.observe(Math.max(0, now - due) / 1000);
    due = now + LOOP_PROBE_MS;
  }, LOOP_PROBE_MS);
  return () => clearInterval(probe);
}

// In a folder of mode 0700 and of mode 0600 itself: whoever may connect could as well read the keys.
function bindAdmin(data: string, admin: Handle, log: ServerLog): Bun.Server<undefined> | undefined {
  const unix = join(data, ADMIN_SOCKET);
  // The lock is held: what is there was left by a server that was killed.
  rmSync(unix, { force: true });
  try {
    const server = Bun.serve({
      unix,
      maxRequestBodySize: MAX_LOG_REQUEST_BYTES,
      development: false,
      fetch: async (request) =>
        (await admin(request, new URL(request.url), { address: '', loopback: true })) ??
        new Response(null, { status: 404 }),
    });
    chmodSync(unix, 0o600);
    return server;
  } catch (error) {
    log('error', 'no administration of the running server', { socket: unix, error: causes(error) });
    return undefined;
  }
}

type Listener = Bun.Server<undefined>;

/** Stops accepting and waits for what is in flight. What is still open after DRAIN_MS is cut: no client holds the server. */
export async function drain(server: Listener): Promise<void> {
  const cut = setTimeout(() => void server.stop(true), DRAIN_MS);
  await server.stop();
  clearTimeout(cut);
}

/** Listens on an address. PORT_IN_USE, ADDRESS_UNAVAILABLE. */
export function bind(
  listen: ServeConfig['listen'],
  answer: (request: Request, listener: Listener) => Promise<Response>,
): Listener {
  const { hostname, port } = listen;
  try {
    return Bun.serve({
      hostname,
      port,
      fetch: answer,
      maxRequestBodySize: MAX_LOG_REQUEST_BYTES,
      development: false,
      // Said because Bun's production default shares the port: two servers would answer in turns.
      reusePort: false,
    });
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'EADDRINUSE') {
      throw new StorageError('PORT_IN_USE', `port ${port} on ${hostname} is in use`, {
        hint: 'choose another, or 0 for a free one: hallmark serve --listen 127.0.0.1:0',
        cause,
      });
    }
    throw new StorageError(
      'ADDRESS_UNAVAILABLE',
      `cannot listen on ${hostname} port ${port}: ${code ?? String(cause)}`,
      {
        hint: 'name an address of this machine and a port that you may use: hallmark serve --listen 127.0.0.1:8080',
        cause,
      },
    );
  }
}

const isLoopback = (address: string): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
