import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { openKeyStore } from '../ca/key-store.ts';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { Fields } from '../core/bytes/fields.ts';
import { parseJson } from '../core/bytes/json.ts';
import { parseNamed, StorageError, UsageError } from '../core/errors.ts';
import { acquireLock } from '../core/file-lock.ts';
import { makeFolder, readFileBounded, writeFileAtomic } from '../core/files.ts';
import { jsonResponse } from '../core/http/front-end.ts';
import { MAX_TRUST_FILE_BYTES, MAX_WATCHED_LOGS } from '../core/limits.ts';
import { parseVkey, requireKeyName, serializeVkey, type Vkey } from '../core/merkle/vkey.ts';
import { bind, drain, originOf, type ServerLog } from '../server.ts';
import { openWitness, type WatchedLog, type Witness, watchedLogs } from '../tlog/witness.ts';
import { openWitnessStore } from '../tlog/witness-store.ts';
import type { Cli } from './cli.ts';
import { parseListen } from './serve-config.ts';
import { logFormatOption, serverLog, untilStopped } from './server-log.ts';
import { requireXdgDirectory } from './xdg.ts';

interface WitnessFlags {
  listen?: string;
  data?: string;
  name?: string;
  watch?: string[];
  config?: string;
  logFormat?: 'text' | 'json';
}

interface WitnessFile extends Omit<WitnessFlags, 'watch' | 'config'> {
  logs?: { origin: string | undefined; key: Vkey }[];
}

const DEFAULT_LISTEN = '127.0.0.1:8081';
const DATA_HINT = 'start a new witness with another --data: its key and its memory belong together';

/** `hallmark serve witness`: cosigns the checkpoints of other logs. */
export function serveWitnessCommand(cli: Cli): Command {
  return new Command('witness')
    .description('run a witness: it cosigns checkpoints of the logs that it watches, and refuses forks and rollbacks')
    .option('--listen <host:port>', `address to listen on; port 0 takes a free one (default ${DEFAULT_LISTEN})`)
    .option('--data <dir>', 'data directory, made on first start (default $XDG_DATA_HOME/hallmark/witness)')
    .option('--name <name>', 'name of its key, a URL without scheme; fixed at first start')
    .option('--watch <vkey...>', 'verifier key of a log to watch, as hallmark log info shows it')
    .option('--config <file>', 'configuration in JSON: logs, and what the flags say')
    .addOption(logFormatOption())
    .addHelpText(
      'after',
      `
Examples:
  hallmark serve witness --name witness.example.com/w1 --watch sigstore.example.com+1a2b3c4d+AaBb...
  hallmark serve witness --config witness.json --listen :8081
`,
    )
    .action((flags: WitnessFlags) => runWitness(cli, flags));
}

async function runWitness(cli: Cli, flags: WitnessFlags): Promise<void> {
  const file = flags.config === undefined ? {} : readWitnessFile(flags.config);
  const listen = parseListen(flags.listen ?? file.listen ?? DEFAULT_LISTEN);
  const watch = flags.watch?.map((vkey) => ({ origin: undefined, key: parseVkey(vkey) }));
  const logs = watchedLogs(watch ?? file.logs ?? []);
  if (logs.length === 0) {
    throw new UsageError('a witness needs a log to watch', {
      hint: 'pass --watch with the verifier key of a log: hallmark log info shows it',
    });
  }
  const format = flags.logFormat ?? file.logFormat ?? 'text';
  const log = serverLog(cli, format);
  const data = flags.data ?? file.data ?? join(requireXdgDirectory(cli, 'data', 'the data directory'), 'witness');
  const witness = await startWitness({ listen, data, name: flags.name ?? file.name, logs }, cli.now, log);
  const vkey = serializeVkey(witness.vkey);
  if (format === 'text') cli.out(readyText(witness.url, vkey, logs));
  else log('info', 'ready', { url: witness.url, vkey, logs: logs.map(({ origin }) => origin) });
  await untilStopped(log, witness.stop);
}

const readyText = (url: string, vkey: string, logs: readonly WatchedLog[]): string =>
  [
    `Hallmark is ready as a witness at ${url}`,
    `  verifier key  ${vkey}`,
    ...logs.map(({ origin }) => `  watches       ${origin}`),
    '',
    'configuration of a log (hallmark serve --config) that asks it:',
    `  "witness": { "threshold": 1, "fail": "closed", "witnesses": [{ "url": "${url}", "vkey": "${vkey}" }] }`,
    '',
  ].join('\n');

interface RunningWitness extends Pick<Witness, 'vkey'> {
  readonly url: string;
  readonly stop: () => Promise<void>;
}

// lock -> name -> database -> key: a key without its database is one that forgot what it cosigned, and is refused.
async function startWitness(
  config: {
    readonly listen: { readonly hostname: string; readonly port: number };
    readonly data: string;
    readonly name: string | undefined;
    readonly logs: readonly WatchedLog[];
  },
  clock: () => Date,
  log: ServerLog,
): Promise<RunningWitness> {
  const { data, listen } = config;
  let witness: Witness | undefined;
  const server = bind(listen, async (request, listener) => {
    const url = URL.parse(request.url);
    if (url === null) return jsonResponse(400, { message: 'the request names no host' });
    const answer = witness?.handle(request, url, {
      address: listener.requestIP(request)?.address ?? '',
      loopback: false,
    });
    if (witness === undefined) return jsonResponse(503, { message: 'starting' }, { 'retry-after': '1' });
    return (await answer) ?? new Response('not found\n', { status: 404 });
  });
  const opened: (() => unknown)[] = [() => drain(server)];
  const stop = async (): Promise<void> => {
    for (const step of opened.splice(0)) await step();
  };
  try {
    makeFolder(data, 0o700);
    const lock = acquireLock(join(data, 'lock'));
    opened.push(() => lock.release());
    const name = openName(data, config.name);
    const store = openWitnessStore(data, existsSync(join(data, 'keys', 'witness.pem')));
    opened.splice(1, 0, store.close);
    const key = openKeyStore(join(data, 'keys')).loadOrCreate('witness', 'ed25519');
    witness = await openWitness({
      name,
      key,
      logs: config.logs,
      store,
      clock,
      onEvent: (event) => {
        if (event.kind === 'fault') log('error', 'request failed', { error: String(event.error) });
        else log('error', 'a log shows different trees of one size', { ...event });
      },
    });
  } catch (error) {
    await stop();
    throw error;
  }
  return { vkey: witness.vkey, url: originOf(listen, server), stop };
}

// Whoever knows a witness knows it by name and key together.
function openName(data: string, given: string | undefined): string {
  const path = join(data, 'witness.json');
  if (!existsSync(path)) {
    if (existsSync(join(data, 'keys', 'witness.pem'))) {
      throw new StorageError('INSTANCE_INCOMPLETE', `the data directory ${data} has lost witness.json`, {
        hint: DATA_HINT,
      });
    }
    if (given === undefined) {
      throw new UsageError('a new witness needs a name', {
        hint: 'hallmark serve witness --name witness.example.com/w1 ...',
      });
    }
    // What cannot be a name is found out before it is fixed.
    requireKeyName(given);
    writeFileAtomic(path, `${JSON.stringify({ schemaVersion: 1, name: given })}\n`, 0o600);
    return given;
  }
  const text = parseUtf8(readFileBounded(path, MAX_TRUST_FILE_BYTES, 'witness file'));
  const name = parseNamed(path, DATA_HINT, () => new Fields(parseJson(text), '', 'CONFIG_INVALID').string('name'));
  if (given !== undefined && given !== name) {
    throw new StorageError(
      'INSTANCE_MISMATCH',
      `the data directory ${data} belongs to the witness ${name}, not to ${given}`,
      {
        hint: DATA_HINT,
      },
    );
  }
  return name;
}

function readWitnessFile(path: string): WitnessFile {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'configuration');
  return parseNamed(`configuration ${path}`, 'docs/witness.md describes every key', () => {
    const fields = new Fields(parseJson(bytes), '', 'CONFIG_INVALID');
    const logFormat = fields.optionalString('logFormat');
    if (logFormat !== undefined && logFormat !== 'text' && logFormat !== 'json') {
      throw fields.fail('logFormat', 'expected "text" or "json"');
    }
    const logs = fields.has('logs')
      ? fields.objects('logs', MAX_WATCHED_LOGS).map((entry) => {
          const origin = entry.optionalString('origin');
          const key = parseVkey(entry.string('vkey'));
          entry.end();
          return { origin, key };
        })
      : undefined;
    const [listen, data, name] = [
      fields.optionalString('listen'),
      fields.optionalString('data'),
      fields.optionalString('name'),
    ];
    fields.end();
    return {
      ...(listen === undefined ? {} : { listen }),
      ...(data === undefined ? {} : { data }),
      ...(name === undefined ? {} : { name }),
      ...(logFormat === undefined ? {} : { logFormat }),
      ...(logs === undefined ? {} : { logs }),
    };
  });
}
