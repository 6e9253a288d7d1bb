import { Command } from 'commander';
import { serializeHex } from '../core/bytes/bytes.ts';
import { ServiceError, UsageError } from '../core/errors.ts';
import { MAX_LOG_GETS } from '../core/limits.ts';
import type { LogClient } from '../core/log/log-client.ts';
import type { ReadEntry } from '../core/verify/read-entry.ts';
import { parseDigestReference } from './artifact.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { entryJson, entryLines, parseEntryReference } from './log-entry.ts';
import { type LogFlags, logOptions, openLogSource } from './log-source.ts';
import { reportText } from './report.ts';

/** `hallmark log get`: entries of a log, each proven to be in it. */
export function logGetCommand(cli: Cli): Command {
  const command = new Command('get')
    .description('fetch an entry of a log and prove that the log has it')
    .argument('<entry>', 'its index, its ID (Rekor v1), or sha256:HEX for the entries about an artifact (Rekor v1)');
  return logOptions(command)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
An entry says who signed what; that it is in the log does not make it true. To verify a file: hallmark verify.
Entries by digest come from the log's own index: each is proven to be logged, but nothing proves that none is left out.

Examples:
  hallmark log get 42
  hallmark log get 108e9186e8c5677a9a5aa2d9ee1bc7c1b2a4f4bb1fe3ffa5a4c3f7a4a9c1c0dd6f5d3a1b2c3d4e5f
  hallmark log get sha256:$(sha256sum < release.tar.gz | cut -c1-64) --output json

Exit codes: 0 found and verified, 5 not found, or the log cannot be reached, 12 not proven.
`,
    )
    .action((entry: string, flags: LogFlags) => run(cli, entry, flags));
}

async function run(cli: Cli, text: string, flags: LogFlags): Promise<void> {
  const digest = parseDigestReference(text);
  const reference = digest === undefined ? parseEntryReference(text) : undefined;
  if (digest === undefined && reference === undefined) {
    throw new UsageError(`${JSON.stringify(text.slice(0, 100))} names no entry`, {
      hint: 'give an index, an entry ID of 64 or 80 hexadecimal digits, or sha256:HEX\nfor the entry of a signed file: hallmark log prove FILE',
    });
  }
  const client = openLogSource(cli, flags).client();
  const entries =
    digest !== undefined
      ? await entriesAbout(cli, client, `${digest.hash}:${serializeHex(digest.digest)}`)
      : [typeof reference === 'bigint' ? await client.entryAt(reference) : await client.entryOf(reference ?? '')];
  emit(
    cli,
    flags.output,
    { ok: true, url: client.address.url, entries: entries.map(entryJson) },
    entries.map((entry) => reportText(`LOGGED: ${client.address.url}`, entryLines(entry))).join('\n'),
  );
}

async function entriesAbout(cli: Cli, client: LogClient, digest: string): Promise<ReadEntry[]> {
  const ids = await client.findByDigest(digest);
  if (ids.length === 0) {
    throw new ServiceError('SERVICE_REFUSED', `the log at ${client.address.url} knows no entry about ${digest}`, {
      status: 404,
      hint: 'is it the right log? hallmark trust show',
    });
  }
  if (ids.length > MAX_LOG_GETS) cli.warn(`the log names ${ids.length} entries; the first ${MAX_LOG_GETS} are fetched`);
  const entries: ReadEntry[] = [];
  for (const id of ids.slice(0, MAX_LOG_GETS)) entries.push(await client.entryOf(id));
  return entries;
}
