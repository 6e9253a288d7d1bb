import { Option } from 'commander';
import type { ServerLog } from '../server.ts';
import { type Cli, jsonLine } from './cli.ts';
import { printable } from './report.ts';

/** `--log-format FORMAT`, the same for every server. */
export const logFormatOption = (): Option =>
  new Option('--log-format <format>', 'text or json lines on standard error').choices(['text', 'json']);

/** The log of a server on standard error: lines for people, or one JSON object a line. */
export function serverLog(cli: Cli, format: 'text' | 'json'): ServerLog {
  if (format === 'json') {
    return (level, event, fields = {}) => cli.say(jsonLine({ time: cli.now().toISOString(), level, event, ...fields }));
  }
  return (level, event, fields = {}) => {
    const details = Object.entries(fields).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`);
    cli.say(printable(`${cli.now().toISOString()} ${level} ${event}${details.join('')}`));
  };
}

/** Waits for SIGTERM or SIGINT, then stops the server. */
export async function untilStopped(log: ServerLog, stop: () => Promise<void>): Promise<void> {
  await new Promise<void>((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => resolve());
  });
  log('info', 'stopping');
  await stop();
  log('info', 'stopped');
}
