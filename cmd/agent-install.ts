import { existsSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { UsageError } from '../core/errors.ts';
import { makeFolder, writeFileAtomic } from '../core/files.ts';
import { ownCommand } from './agent-place.ts';
import type { Cli } from './cli.ts';
import { baseDirectory } from './xdg.ts';

const SOCKET_UNIT = 'hallmark-agent.socket';
const SERVICE_UNIT = 'hallmark-agent.service';

/** What was done, and what is left to the user. */
export interface Installation {
  readonly files: readonly string[];
  readonly commands: readonly string[];
}

/** Writes the units with which systemd keeps the agent's socket and starts it at the first request. FILE_UNWRITABLE. */
export function installUnits(cli: Cli): Installation {
  const folder = unitFolder(cli);
  makeFolder(folder, 0o755);
  const units = { [SOCKET_UNIT]: socketUnit(), [SERVICE_UNIT]: serviceUnit() };
  for (const [name, text] of Object.entries(units)) writeFileAtomic(join(folder, name), text, 0o644);
  return {
    files: Object.keys(units).map((name) => join(folder, name)),
    commands: ['systemctl --user daemon-reload', `systemctl --user enable --now ${SOCKET_UNIT}`],
  };
}

/** Removes them again. */
export function removeUnits(cli: Cli): Installation {
  const folder = unitFolder(cli);
  const files = [SOCKET_UNIT, SERVICE_UNIT].map((name) => join(folder, name)).filter((path) => existsSync(path));
  for (const path of files) unlinkSync(path);
  return {
    files,
    commands: [`systemctl --user stop ${SOCKET_UNIT} ${SERVICE_UNIT}`, 'systemctl --user daemon-reload'],
  };
}

function unitFolder(cli: Cli): string {
  const config = baseDirectory(cli, 'config');
  if (config !== undefined) return join(config, 'systemd', 'user');
  throw new UsageError('there is no place for the units: HOME is not set', { hint: 'export HOME=/home/you' });
}

// %t is the runtime directory, where the clients look.
const socketUnit = (): string => `[Unit]
Description=Socket of the Hallmark signing agent

[Socket]
ListenStream=%t/hallmark/agent.sock
SocketMode=0600
DirectoryMode=0700
RemoveOnStop=yes

[Install]
WantedBy=sockets.target
`;

const serviceUnit = (): string => `[Unit]
Description=Hallmark signing agent
Requires=${SOCKET_UNIT}

[Service]
ExecStart=${[...ownCommand(), 'agent'].map(quoted).join(' ')}
NoNewPrivileges=yes
LimitCORE=0
UMask=0077
`;

// systemd.service(5): quotes keep spaces, % and $ mean something inside them too.
function quoted(word: string): string {
  if (/[\p{Cc}"\\]/u.test(word)) throw new UsageError(`systemd cannot start a program at ${JSON.stringify(word)}`);
  const escaped = word.replaceAll('%', '%%').replaceAll('$', '$$$$');
  return /^[\w./@%$+-]+$/.test(word) ? escaped : `"${escaped}"`;
}
