import { Command, Option } from 'commander';
import type { Json } from '../core/bytes/json.ts';
import { StorageError } from '../core/errors.ts';
import { askAgent } from '../gitsign/agent-client.ts';
import type { AgentStatus, HeldIdentity } from '../gitsign/agent-protocol.ts';
import { type Installation, installUnits, removeUnits } from './agent-install.ts';
import { agentDirectory, userId } from './agent-place.ts';
import { type Cli, emit, type OutputFormat, outputOption } from './cli.ts';
import { parseDuration } from './duration.ts';
import { instantText, type ReportLine, reportText } from './report.ts';

interface AgentFlags {
  readonly allowForwarded?: true;
  readonly idleTimeout?: string;
  readonly onDemand?: true;
}

/** How long an agent that was started for somebody stays without requests: a certificate is good for ten minutes. */
const ON_DEMAND_IDLE = '15m';

/** `hallmark agent [status|lock|unlock|stop|install]`. */
export function agentCommand(cli: Cli): Command {
  const command = new Command('agent')
    .description('Sign for git with one login for all repositories: a key in the memory of a process of yours.')
    .option('--allow-forwarded', 'serve programs on other computers too, that reach it through ssh')
    .option('--idle-timeout <duration>', 'end after this long without a request, such as 30m (default: never)')
    .addOption(new Option('--on-demand', 'started by the signing program').hideHelp())
    .addHelpText(
      'after',
      `
Without a subcommand it runs in the foreground. git starts one on demand, so that none of this has to be called. It holds a
key and a certificate of ten minutes for each stack, signs commits, tags and push certificates, and gives the key to nobody.

Examples:
  hallmark agent status
  hallmark agent lock                        forget all keys, sign nothing until: hallmark agent unlock
  hallmark agent install                     let systemd start it when it is asked
  hallmark agent --idle-timeout 1h           run it here, and see what it does
`,
    )
    .action((flags: AgentFlags) => run(cli, flags));

  tell(cli, command, 'status', 'say whether it runs and for whom it signs', (status) => statusText(status));
  tell(cli, command, 'lock', 'forget all keys and sign nothing until it is unlocked', () => 'locked\n');
  tell(cli, command, 'unlock', 'sign again, after a new login', () => 'unlocked\n');
  tell(cli, command, 'stop', 'end it', ({ pid }) => `stopped the agent (process ${pid})\n`);

  command
    .command('install')
    .description('write units for systemd that start it when it is asked')
    .option('--remove', 'remove them again')
    .addOption(outputOption())
    .addHelpText('after', '\nExamples:\n  hallmark agent install\n  hallmark agent install --remove')
    .action((flags: { remove?: true; output: OutputFormat }) => {
      const installation = flags.remove ? removeUnits(cli) : installUnits(cli);
      emit(
        cli,
        flags.output,
        { ok: true, files: [...installation.files], commands: [...installation.commands] },
        installationText(installation, flags.remove ?? false),
      );
    });
  return command;
}

async function run(cli: Cli, flags: AgentFlags): Promise<void> {
  const idle = flags.idleTimeout ?? (flags.onDemand ? ON_DEMAND_IDLE : undefined);
  const idleMs = idle === undefined ? undefined : parseDuration('--idle-timeout', idle);
  const [{ runAgent }, { signGitPayload }] = await Promise.all([
    import('./agent-run.ts'),
    import('../gitsign/sign.ts'),
  ]);
  try {
    await runAgent(cli, signGitPayload, { ...flags, idleMs });
  } catch (error) {
    // Two clients found none and started one each: whoever is first serves both.
    if (flags.onDemand && error instanceof StorageError && error.code === 'AGENT_RUNNING') return;
    throw error;
  }
}

function tell(
  cli: Cli,
  command: Command,
  name: AgentRequestName,
  summary: string,
  text: (status: AgentStatus) => string,
): void {
  command
    .command(name)
    .description(summary)
    .addOption(outputOption())
    .addHelpText('after', `\nExample:\n  hallmark agent ${name}`)
    .action(async ({ output }: { output: OutputFormat }) => {
      const directory = agentDirectory(cli);
      const status = directory === undefined ? undefined : await askAgent({ directory, uid: userId() }, { type: name });
      if (status === undefined && name !== 'status' && name !== 'stop') throw noAgent();
      emit(
        cli,
        output,
        status === undefined
          ? { ok: true, running: false }
          : { ok: true, running: name !== 'stop', ...statusJson(status) },
        status === undefined ? 'no agent is running\n' : text(status),
      );
    });
}

type AgentRequestName = 'status' | 'lock' | 'unlock' | 'stop';

const noAgent = (): StorageError =>
  new StorageError('AGENT_UNREACHABLE', 'no agent is running', { hint: 'hallmark agent' });

function statusText({ pid, programVersion, locked, identities }: AgentStatus): string {
  const lines = identities.map(
    ({ stack, identity, issuer, notAfter, signatures }): ReportLine => [
      stack,
      `${identity} (${issuer})`,
      `until ${instantText(notAfter)}, ${signatures} ${signatures === 1 ? 'signature' : 'signatures'}`,
    ],
  );
  const state = locked ? 'locked' : identities.length === 0 ? 'nobody is logged in' : 'signs for';
  return reportText(`agent ${programVersion}, process ${pid}: ${state}`, lines);
}

const statusJson = ({ pid, programVersion, locked, identities }: AgentStatus): Record<string, Json> => ({
  pid,
  programVersion,
  locked,
  identities: identities.map(identityJson),
});

const identityJson = ({ notAfter, ...identity }: HeldIdentity): Record<string, Json> => ({
  ...identity,
  notAfter: notAfter.toISOString(),
});

function installationText({ files, commands }: Installation, removed: boolean): string {
  const done = files.map((path) => `${removed ? 'removed' : 'wrote'} ${path}`);
  return `${[...done, 'now run:', ...commands.map((line) => `  ${line}`)].join('\n')}\n`;
}
