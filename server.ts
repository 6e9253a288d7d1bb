import { join } from 'node:path';
import { createCertificateAuthority } from './ca/authority.ts';
import { createCaChain, createTsaChain } from './ca/chain.ts';
import { createDevIssuer } from './ca/dev-issuer.ts';
import { type Issuer, issuerTable } from './ca/issuers.ts';
import { openKeyStore } from './ca/key-store.ts';
import { createTimestampAuthority } from './ca/timestamp.ts';
import { serializeHex } from './core/bytes/bytes.ts';
import { sha256 } from './core/crypto/hash.ts';
import type { PrivateKey } from './core/crypto/private-key.ts';
import { causes, StorageError } from './core/errors.ts';
import { acquireLock } from './core/file-lock.ts';
import { makeFolder } from './core/files.ts';
import type { FetchLike } from './core/http/client.ts';
import { createDispatch } from './core/http/dispatch.ts';
import { type Handle, jsonResponse, type Peer } from './core/http/front-end.ts';
import type { Rate } from './core/http/rate-limit.ts';
import {
  asDamage,
  establishInstance,
  openChain,
  openInstance,
  RESTORE,
  writeInstance,
} from './core/instance/data-directory.ts';
import { type Part, shardKeyName } from './core/instance/instance.ts';
import type { RotatedLog, ShardHistory } from './core/instance/shard-history.ts';
import { MAX_IDLE_SECONDS, MAX_LOG_REQUEST_BYTES } from './core/limits.ts';
import { createMetrics, METRICS_CONTENT_TYPE, type Metrics } from './core/metrics.ts';
import { type Publication, publicationOf } from './core/trust/publication.ts';
import { createTrustFrontEnd } from './core/trust/tuf/front-end.ts';
import { openRepositoryFolder } from './core/trust/tuf/repository-folder.ts';
import type { Certificate } from './core/x509/certificate.ts';
import { type AdminActions, createAdmin } from './tlog/admin.ts';
import { openAdminSocket } from './tlog/admin-listener.ts';
import { createTransparencyLog, type PublishedLogs } from './tlog/transparency-log.ts';
import type { WitnessPolicy } from './tlog/witnessed-log.ts';
import { openWitnessing, requireOwnHost } from './tlog/witnessing.ts';

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
  const { data } = config;
  const metrics = createMetrics();
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  makeFolder(data, 0o700);
  const lock = acquireLock(join(data, 'lock'));
  const opened: (() => Promise<void>)[] = [async () => lock.release()];
  const close = async (): Promise<void> => {
    for (const step of opened.splice(0).reverse()) await step();
  };
  try {
    let instance = openInstance(data, config.publicUrl, clock());
    const { publicUrl, createdAt } = instance;
    const keys = openKeyStore(join(data, 'keys'));
    const key = (name: string): PrivateKey => keys.loadOrCreate(name, 'p256');
    const parts: readonly Part[] = config.part === 'all' ? ['ca', 'log'] : [config.part];
    const hasLog = parts.includes('log');
    const chains = parts.includes('ca') ? openChains(data, publicUrl, createdAt, key, random) : undefined;

    const tlog = await createTransparencyLog({
      directory: data,
      keys: {
        v1: hasLog ? key('rekor-v1') : undefined,
        v2: hasLog ? keys.loadOrCreate('rekor-v2', 'ed25519') : undefined,
        ct: chains ? key('ct') : undefined,
      },
      established: [
        ...(hasLog && instance.parts.includes('log') ? (['v1', 'v2'] as const) : []),
        ...(chains && instance.parts.includes('ca') ? (['ct'] as const) : []),
      ],
      ctRoots: chains?.ca.slice(-1) ?? [],
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
      witnessing: hasLog
        ? openWitnessing(data, config.witness, fetch, (what, fields) => log('error', what, fields))
        : undefined,
    });
    opened.push(tlog.close);
    const fronts: Handle[] = [tlog.handle];

    let devIssuer: string | undefined;
    if (chains && tlog.ctLog) {
      let { issuers } = config;
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
      const authority = { key: key('ca'), chain: chains.ca, issuers: issuerTable(issuers), ctLog: tlog.ctLog };
      const rate = limits.certificates;
      fronts.push(createCertificateAuthority({ ...authority, clock, random, fetch, metrics, rate, report }).handle);
      fronts.push(
        createTimestampAuthority({ key: key('tsa'), chain: chains.tsa, clock, random, metrics, report }).handle,
      );
    }

    const publicationWith = (logs: PublishedLogs): Publication =>
      publicationOf({
        publicUrl,
        validFrom: new Date(createdAt.getTime() - BACKDATED_MS),
        caChain: chains?.ca,
        tsaChain: chains?.tsa,
        ctLog: tlog.ct,
        rekorV1: logs.v1,
        rekorV2: logs.v2,
        issuer: devIssuer ?? config.issuers?.[0]?.url,
      });
    const repository = openRepositoryFolder(
      join(data, 'tuf'),
      { root: key('tuf-root'), online: key('tuf-online') },
      publicationWith(tlog.published()),
      clock,
      RESTORE,
    );
    fronts.push(createTrustFrontEnd(repository));
    instance = establishInstance(data, instance, parts);

    const remember = (name: RotatedLog, history: ShardHistory): void => {
      const next = { ...instance, shards: { ...instance.shards, [name]: history } };
      writeInstance(data, next);
      instance = next;
    };
    const actions: AdminActions = {
      async rotate(name, url) {
        const taken = tlog.published().v2.map(({ baseUrl }) => baseUrl);
        if (name === 'v2' && config.witness) requireOwnHost(url, taken);
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
    throw asDamage(data, error);
  }
}

interface Chains {
  readonly ca: Certificate[];
  readonly tsa: Certificate[];
}

function openChains(
  data: string,
  publicUrl: string,
  now: Date,
  key: (name: string) => PrivateKey,
  random: StackDependencies['random'],
): Chains {
  const organization = new URL(publicUrl).hostname;
  const open = (name: 'ca' | 'tsa', create: typeof createCaChain): Certificate[] =>
    openChain(data, name, () =>
      create({ rootKey: key(`${name}-root`), key: key(name).publicKey, organization, now, random }),
    );
  return { ca: open('ca', createCaChain), tsa: open('tsa', createTsaChain) };
}

export interface ServeConfig extends Omit<StackConfig, 'publicUrl'> {
  readonly listen: { readonly hostname: string; readonly port: number };
  /** Undefined: the address that is listened on. */
  readonly publicUrl: string | undefined;
  /** Where `/metrics` answers; undefined: nowhere. */
  readonly metrics: { readonly hostname: string; readonly port: number } | undefined;
}

interface ServeDependencies extends StackDependencies {
  /** Measures this process until the function that it returns is called. */
  readonly observeProcess: (metrics: Metrics) => () => void;
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
export async function serve(config: ServeConfig, dependencies: ServeDependencies): Promise<RunningServer> {
  let stack: Stack | undefined;
  const metrics = config.metrics && bind(config.metrics, async (request) => answerMetrics(request, stack));
  const server = bind(config.listen, async (request, listener) => {
    const address = listener.requestIP(request)?.address ?? '';
    if (stack) return stack.handle(request, { address, loopback: isLoopback(address) });
    return jsonResponse(503, { code: 503, message: 'starting' }, { 'retry-after': '1' });
  });
  try {
    const publicUrl = config.publicUrl ?? originOf(config.listen, server);
    stack = await createStack({ ...config, publicUrl }, dependencies);
  } catch (error) {
    await server.stop(true);
    await metrics?.stop(true);
    throw error;
  }
  const endObserving = dependencies.observeProcess(stack.metrics);
  const admin = openAdminSocket(config.data, stack.admin, (socket, error) =>
    dependencies.log('error', 'no administration of the running server', { socket, error: causes(error) }),
  );
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
    endObserving();
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
      idleTimeout: MAX_IDLE_SECONDS,
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

/** The URL of who listens on this address, without a final slash. */
export const originOf = ({ hostname }: ServeConfig['listen'], { port }: Listener): string =>
  `http://${hostname.includes(':') ? `[${hostname}]` : hostname}:${port}`;

const isLoopback = (address: string): boolean =>
  address === '::1' || address.startsWith('127.') || address.startsWith('::ffff:127.');
