import { Command, Option } from 'commander';
import { serializeHex } from '../core/bytes/bytes.ts';
import type { Json } from '../core/bytes/json.ts';
import { keyFingerprint, parsePublicKeyPem } from '../core/crypto/public-key.ts';
import { UsageError } from '../core/errors.ts';
import { type SearchAnswer, type SearchedEntry, searchLog } from '../core/log/search-client.ts';
import { parseCertificatesPem } from '../core/x509/certificate.ts';
import { readArtifact } from './artifact.ts';
import { type Cli, emit, outputOption } from './cli.ts';
import { parseDuration } from './duration.ts';
import { httpOf } from './http.ts';
import { readKeyText } from './key-source.ts';
import { type LogFlags, logOptions, openLogSource } from './log-source.ts';
import { instantText, printable, shellWord } from './report.ts';

interface Flags extends LogFlags {
  readonly digest?: string;
  readonly artifact?: string;
  readonly identity?: string;
  readonly identityPrefix?: string;
  readonly domain?: string;
  readonly issuer?: string;
  readonly key?: string;
  readonly serial?: string;
  readonly repository?: string;
  readonly commit?: string;
  readonly since?: string;
  readonly until?: string;
  readonly log?: string;
  readonly limit?: string;
  readonly cursor?: string;
}

/** Flags that go to the server as they are, under their own names. */
const AS_GIVEN = [
  'digest',
  'identity',
  'identityPrefix',
  'domain',
  'issuer',
  'serial',
  'repository',
  'commit',
  'log',
  'limit',
  'cursor',
] as const;

/** `hallmark log search`: entries by what they say, on the server's word. */
export function logSearchCommand(cli: Cli): Command {
  const command = new Command('search')
    .description('find entries of a log by digest, signer, source or time')
    .option('--digest <digest>', 'of an artifact, payload, envelope or statement subject: sha256:HEX')
    .option('--artifact <file>', 'a file (or - for standard input) whose SHA-256 is looked for')
    .option('--identity <identity>', 'whole identity of the certificate: an email address or URI')
    .option('--identity-prefix <text>', 'how it begins, such as https://github.com/acme/')
    .option('--domain <domain>', 'domain of the identity, or one above it')
    .option('--issuer <url>', 'OIDC issuer that the certificate names')
    .option('--key <key>', 'a public key or certificate in PEM, or the SHA-256 of the key in hexadecimal')
    .option('--serial <hex>', 'serial number of the certificate')
    .option('--repository <repository>', 'source repository: a URL, for GitHub also owner/name')
    .option('--commit <id>', 'commit that was built, or that was signed with gitsign or hallmark')
    .option('--since <when>', 'logged from then on: 2026-01-31, 2026-01-31T12:00:00Z, or 7d for the last seven days')
    .option('--until <when>', 'logged before')
    .addOption(new Option('--log <log>', 'one log alone').choices(['v1', 'v2']))
    .option('--limit <n>', 'entries in an answer, 1 to 100', '20')
    .option('--cursor <cursor>', 'go on where the last answer ended');
  return logOptions(command)
    .addOption(outputOption())
    .addHelpText(
      'after',
      `
All that is asked has to fit; without anything the newest entries are listed. The newest come first.

Nothing of the answer is verified: a server can leave entries out or make them up. To prove an entry: hallmark log get ENTRY.
To verify a signature: hallmark verify. Only hallmark serve has this search.

Examples:
  hallmark log search --artifact release.tar.gz
  hallmark log search --identity-prefix https://github.com/acme/ --since 7d
  hallmark log search --issuer https://accounts.google.com --domain example.com --output json
  hallmark log search --key signer.pub --rekor-url https://log.example.com

Exit codes: 0 answered, also if nothing was found; 5 the log cannot be reached or does not understand what is asked.
`,
    )
    .action((flags: Flags) => search(cli, flags));
}

async function search(cli: Cli, flags: Flags): Promise<void> {
  const parameters = parametersOf(cli, flags);
  const url = flags.rekorUrl ?? openLogSource(cli, flags).client().address.url;
  const answer = await searchLog(httpOf(cli), url, parameters);
  emit(cli, flags.output, { ok: true, verified: false, url, ...answerJson(answer) }, table(answer.entries));
  if (answer.behind > 0)
    cli.warn(`the index of the log is ${answer.behind} entries behind, which are not looked through`);
  if (flags.output === 'json') return;
  if (answer.nextCursor !== undefined)
    cli.say(`more may follow: add --cursor ${shellWord(printable(answer.nextCursor))}`);
  const [first] = answer.entries;
  if (first) cli.say(`not verified: the server says so. To prove the first: ${proofCommand(first, url)}`);
  else cli.say('nothing was found, which proves nothing: the server says so');
}

function parametersOf(cli: Cli, flags: Flags): Record<string, string> {
  const parameters: Record<string, string> = {};
  for (const name of AS_GIVEN) {
    const value = flags[name];
    if (value !== undefined) parameters[name] = value;
  }
  if (flags.artifact !== undefined) {
    if (flags.digest !== undefined) {
      throw new UsageError('--digest and --artifact are both given', { hint: 'give one: both name a digest' });
    }
    const digest = readArtifact(flags.artifact, ['sha256']).digests.sha256;
    if (digest) parameters['digest'] = `sha256:${serializeHex(digest)}`;
    else throw new UsageError('--artifact is not a file', { hint: 'for a digest: --digest sha256:HEX' });
  }
  if (flags.key !== undefined) parameters['key'] = fingerprintOf(flags.key);
  if (flags.since !== undefined) parameters['since'] = instantOf(cli, '--since', flags.since);
  if (flags.until !== undefined) parameters['until'] = instantOf(cli, '--until', flags.until);
  return parameters;
}

/** SHA-256 of a key, given as it is, or as a file with the key or a certificate for it. */
function fingerprintOf(given: string): string {
  const fingerprint = /^(?:sha256:)?([0-9a-f]{64})$/i.exec(given)?.[1];
  if (fingerprint !== undefined) return fingerprint.toLowerCase();
  const text = readKeyText(given);
  const certificate = text.includes('BEGIN CERTIFICATE') ? parseCertificatesPem(text)[0] : undefined;
  return serializeHex(keyFingerprint(certificate?.publicKey ?? parsePublicKeyPem(text)));
}

/** A day, an instant, or how long ago, in RFC 3339. */
function instantOf(cli: Cli, flag: string, given: string): string {
  if (/^[0-9]+[a-z]$/.test(given)) return new Date(cli.now().getTime() - parseDuration(flag, given)).toISOString();
  const text = /^\d{4}-\d\d-\d\d$/.test(given) ? `${given}T00:00:00Z` : given;
  const isInstant = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/.test(text);
  if (isInstant && !Number.isNaN(Date.parse(text))) return text;
  throw new UsageError(`${flag} is neither a time nor a duration: ${JSON.stringify(given.slice(0, 40))}`, {
    hint: `such as ${flag} 2026-01-31, ${flag} 2026-01-31T12:00:00Z, or ${flag} 7d for seven days ago`,
  });
}

function answerJson({ entries, nextCursor, behind }: SearchAnswer): Record<string, Json> {
  return {
    entries: entries.map(entryJson),
    nextCursor: nextCursor ?? null,
    behind,
  };
}

function entryJson(entry: SearchedEntry): Json {
  const { log, logIndex, leafHash, entryId, integratedTime, kind, version, digests, signers } = entry;
  return {
    log,
    logIndex: String(logIndex),
    leafHash,
    entryId: entryId ?? null,
    integratedTime: instantText(integratedTime),
    kind,
    version,
    digests: digests.map((digest) => ({ ...digest })),
    signers: signers.map(({ key, serial, identities, issuer, repository, commit }) => ({
      key,
      serial: serial ?? null,
      identities: identities.map((identity) => ({ ...identity })),
      issuer: issuer ?? null,
      repository: repository ?? null,
      commit: commit ?? null,
    })),
  };
}

const COLUMNS = ['LOG', 'INDEX', 'LOGGED', 'KIND', 'DIGEST', 'SIGNED BY'] as const;
/** Digits of a digest or key in the table: enough to tell them apart, and to compare at a glance. */
const SHOWN_DIGITS = 16;

function table(entries: readonly SearchedEntry[]): string {
  if (entries.length === 0) return '';
  const rows = entries.map((entry) =>
    [
      entry.log,
      String(entry.logIndex),
      instantText(entry.integratedTime),
      `${entry.kind} ${entry.version}`,
      digestText(entry),
      signersText(entry),
    ].map(printable),
  );
  const lines = [[...COLUMNS], ...rows];
  const widths = COLUMNS.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, i) => cell.padEnd(widths[i] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

function digestText({ digests }: SearchedEntry): string {
  const [first] = digests;
  return first ? `${first.algorithm}:${first.value.slice(0, SHOWN_DIGITS)}` : '-';
}

function signersText({ signers }: SearchedEntry): string {
  const names = signers.map(({ key, identities, issuer }) => {
    const name = identities.map(({ value }) => value).join(', ') || `key ${key.slice(0, SHOWN_DIGITS)}`;
    return issuer === undefined ? name : `${name} (${issuer})`;
  });
  return names.join('; ') || '-';
}

function proofCommand({ entryId, logIndex, log }: SearchedEntry, url: string): string {
  const dialect = log.startsWith('v2') ? ' --rekor-version 2' : ' --rekor-version 1';
  return `hallmark log get ${entryId ?? logIndex} --rekor-url ${shellWord(url)}${dialect}`;
}
