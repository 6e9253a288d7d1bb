import { randomBytes } from 'node:crypto';
import { Argument, Command } from 'commander';
import { isLoopbackHost } from '../ca/dev-issuer/access.ts';
import { parseJson } from '../core/bytes/json.ts';
import { parseNamed, UsageError } from '../core/errors.ts';
import { readFileBounded } from '../core/files.ts';
import { MAX_TRUST_FILE_BYTES } from '../core/limits.ts';
import { serve } from '../server.ts';
import type { Cli } from './cli.ts';
import { defaultDataDirectory } from './data-directory.ts';
import { addSelfMetrics } from './self-metrics.ts';
import { parseListen, parsePublicUrl, parseServeFile, type ServeFile } from './serve-config.ts';
import { clientGuides, type GuideFacts, guideText } from './serve-guide.ts';
import { serveWitnessCommand } from './serve-witness.ts';
import { logFormatOption, serverLog, untilStopped } from './server-log.ts';

interface ServeOptions {
  listen?: string;
  data?: string;
  url?: string;
  config?: string;
  metrics?: string;
  logFormat?: 'text' | 'json';
  dangerouslyExposeDevIssuer?: boolean;
}

const DEFAULT_LISTEN = '127.0.0.1:8080';

export function serveCommand(cli: Cli): Command {
  const command = new Command('serve')
    .description('Run a complete Sigstore: certificate authority, logs, timestamp authority, TUF repository.')
    .addArgument(
      new Argument('[part]', 'only the CA with its CT log, or only the transparency log').choices(['ca', 'log']),
    )
    .option('--listen <host:port>', `address to listen on; port 0 takes a free one (default ${DEFAULT_LISTEN})`)
    .option('--data <dir>', 'data directory, made on first start (default $XDG_DATA_HOME/hallmark/serve)')
    .option('--url <url>', 'public URL, fixed at first start (default: the listen address)')
    .option('--metrics <host:port>', 'answer Prometheus at /metrics on an address of its own (default: nowhere)')
    .option('--config <file>', 'configuration in JSON: issuers, and what the flags say')
    .addOption(logFormatOption())
    .option(
      '--dangerously-expose-dev-issuer',
      'let the development issuer answer strangers: whoever reaches it can sign as anybody',
    )
    .addHelpText(
      'after',
      `
Examples:
  hallmark serve                                          on 127.0.0.1:8080, with a development issuer
  hallmark serve --listen 127.0.0.1:0 --data ./data       on a free port
  hallmark serve ca --listen 127.0.0.1:5555               the certificate authority, its CT log and timestamp authority
  hallmark serve log --listen 127.0.0.1:3000              the transparency log
  hallmark serve --metrics 127.0.0.1:2112                 with http://127.0.0.1:2112/metrics for Prometheus
  hallmark serve witness --name witness.example.com/w1    a witness of other logs, see: hallmark serve witness --help
  hallmark serve --config serve.json --listen :443 --url https://sigstore.example.com
`,
    )
    .action((part: 'ca' | 'log' | undefined, options: ServeOptions) => runServe(cli, part ?? 'all', options));
  // Its options are its own, although some have the same names.
  return command.enablePositionalOptions().addCommand(serveWitnessCommand(cli));
}

async function runServe(cli: Cli, part: 'all' | 'ca' | 'log', options: ServeOptions): Promise<void> {
  const file = options.config === undefined ? {} : readServeFile(options.config);
  const listen = parseListen(options.listen ?? file.listen ?? DEFAULT_LISTEN);
  const url = options.url ?? file.publicUrl;
  if (listen.wildcard && url === undefined) {
    throw new UsageError('a wildcard address is no address for clients', {
      hint: 'name the public URL: hallmark serve --listen :8080 --url https://sigstore.example.com',
    });
  }
  const metrics = options.metrics ?? file.metrics;
  const format = options.logFormat ?? file.logFormat ?? 'text';
  const log = serverLog(cli, format);
  const server = await serve(
    {
      listen,
      data: options.data ?? file.data ?? defaultDataDirectory(cli),
      publicUrl: url === undefined ? undefined : parsePublicUrl(url),
      part,
      issuers: file.issuers,
      witness: file.witness,
      exposeDevIssuer: options.dangerouslyExposeDevIssuer ?? false,
      metrics: metrics === undefined ? undefined : parseListen(metrics),
      ...(file.limits && { limits: file.limits }),
    },
    {
      clock: cli.now,
      random: (bytes) => new Uint8Array(randomBytes(bytes)),
      fetch: cli.fetch,
      log,
      observeProcess: addSelfMetrics,
    },
  );
  // The build starts with a compiler that waits, for commands that end soon. This one stays.
  Bun.unsafe.setJITPolicy(1);
  const facts: GuideFacts = {
    url: server.publicUrl,
    devIssuer: server.devIssuer,
    isLoopback: isLoopbackHost(new URL(server.publicUrl).host),
    rootFingerprint: server.rootFingerprint,
    hasCa: part !== 'log',
    hasLog: part !== 'ca',
    metricsUrl: server.metricsUrl,
  };
  if (format === 'text') cli.out(guideText(facts));
  else log('info', 'ready', { ...facts, clients: clientGuides(facts) });

  await untilStopped(log, server.stop);
}

function readServeFile(path: string): ServeFile {
  const bytes = readFileBounded(path, MAX_TRUST_FILE_BYTES, 'configuration');
  return parseNamed(`configuration ${path}`, 'docs/serve.md describes every key', () =>
    parseServeFile(parseJson(bytes)),
  );
}
