import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Command, Option } from 'commander';
import { Fields } from '../core/bytes/fields.ts';
import { type Json, parseJson } from '../core/bytes/json.ts';
import { ServiceError, UsageError } from '../core/errors.ts';
import { MAX_LOG_SHARDS, MAX_LOG_SIZE } from '../core/limits.ts';
import { ADMIN_SOCKET } from '../tlog/admin-socket.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { dataOption, defaultDataDirectory } from './data-directory.ts';
import { parsePublicUrl } from './serve-config.ts';

interface ShardFlags {
  readonly data?: string;
  readonly v1?: true;
  readonly v2?: true;
  readonly url?: string;
  readonly output: OutputFormat;
}

const v1Option = (): Option => new Option('--v1', 'the log of Rekor v1').conflicts('v2');
const v2Option = (): Option => new Option('--v2', 'the log of Rekor v2');

/** `rotate`, `freeze` and `shards`: what an operator does to a running server. */
export function logRotateCommand(cli: Cli): Command {
  return new Command('rotate')
    .description('let a log of a running server go on in a new shard with a new key')
    .addOption(v1Option())
    .addOption(v2Option())
    .option('--url <url>', 'with --v2: a URL of its own for the new shard, whose host names its checkpoints')
    .addOption(dataOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
The old shard is frozen: it stays readable for ever and takes no more entries. The new key is published in the trusted root
first; clients that have not updated their trust refuse what the new shard signs, and say that they do not know its key.

Examples:
  hallmark log rotate --v1
  hallmark log rotate --v2 --data /var/lib/hallmark
  hallmark log rotate --v2 --url https://log2.example.com     # where witnesses cosign: they know a log by its host`,
    )
    .action(async (flags: ShardFlags) => {
      const log = logOf(flags);
      if (flags.url !== undefined && log === 'v1') {
        throw new UsageError('a shard of v1 has no URL of its own', {
          hint: 'leave --url away: hallmark log rotate --v1',
        });
      }
      const url = flags.url === undefined ? {} : { url: parsePublicUrl(flags.url) };
      await change(cli, flags, 'rotate', { log, ...url });
    });
}

export function logFreezeCommand(cli: Cli): Command {
  return new Command('freeze')
    .description('let a log of a running server grow no more; it stays readable')
    .addOption(v1Option())
    .addOption(v2Option())
    .addOption(dataOption())
    .addOption(outputOption())
    .addHelpText(
      'after',
      '\nExample:\n  hallmark log freeze --v1     # no more entries; rotate lets it go on in a new shard',
    )
    .action((flags: ShardFlags) => change(cli, flags, 'freeze', { log: logOf(flags) }));
}

export function logShardsCommand(cli: Cli): Command {
  return new Command('shards')
    .description('list the shards of the logs of a running server')
    .addOption(dataOption())
    .addOption(outputOption())
    .addHelpText('after', '\nExample:\n  hallmark log shards --output json')
    .action(async (flags: ShardFlags) => show(cli, flags, await ask(cli, flags, '/log')));
}

function logOf(flags: ShardFlags): 'v1' | 'v2' {
  if (flags.v1) return 'v1';
  if (flags.v2) return 'v2';
  throw new UsageError('name the log: --v1 or --v2', { hint: 'hallmark log shards lists both' });
}

async function change(cli: Cli, flags: ShardFlags, action: 'rotate' | 'freeze', body: Json): Promise<void> {
  show(cli, flags, await ask(cli, flags, `/log/${action}`, body));
}

/** Asks the server that holds the data directory, through the socket in it. SERVICE_UNREACHABLE, SERVICE_REFUSED. */
async function ask(cli: Cli, flags: ShardFlags, path: string, body?: Json): Promise<Json> {
  const data = flags.data ?? defaultDataDirectory(cli);
  const unix = join(data, ADMIN_SOCKET);
  const unreachable = (cause?: unknown): ServiceError =>
    new ServiceError('SERVICE_UNREACHABLE', `no hallmark serve is running on the data directory ${data}`, {
      hint: 'start it, or name its data directory with --data',
      cause,
    });
  if (!existsSync(unix)) throw unreachable();
  const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) };
  const response = await fetch(`http://hallmark${path}`, { ...init, unix }).catch((cause: unknown) => {
    throw unreachable(cause);
  });
  const answer = parseJson(new Uint8Array(await response.arrayBuffer()));
  if (response.status === 200) return answer;
  const fields = new Fields(answer, '', 'FIELD_INVALID');
  throw new ServiceError('SERVICE_REFUSED', `the server refused: ${fields.string('message')}`, {
    status: response.status,
    hint: fields.string('hint') || 'the log of hallmark serve says more',
  });
}

function show(cli: Cli, flags: ShardFlags, answer: Json): void {
  const logs = new Fields(answer, '', 'FIELD_INVALID');
  const lines = (['v1', 'v2'] as const).flatMap((log) =>
    logs.array(log, MAX_LOG_SHARDS).map((item, i) => {
      const shard = new Fields(item, `${log}[${i}]`, 'FIELD_INVALID');
      const state = shard.optionalBoolean('frozen') ? 'frozen' : 'active';
      const entries = shard.bigint('entries', MAX_LOG_SIZE);
      return `${log} ${i + 1}  ${state}  ${entries} entries from ${shard.bigint('firstIndex', MAX_LOG_SIZE)}  ${shard.string('url')}`;
    }),
  );
  emit(cli, flags.output, { logs: answer }, lines.map((line) => `${line}\n`).join(''));
}
