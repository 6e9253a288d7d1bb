import { ownCommand } from './agent-place.ts';
import { readEnvReference } from './env.ts';

/** What an agent that is started for somebody keeps of their environment: where things are, not what they are about. */
const KEPT = [
  'HOME',
  'PATH',
  'XDG_RUNTIME_DIR',
  'XDG_CACHE_HOME',
  'XDG_CONFIG_HOME',
  'XDG_DATA_HOME',
  'GIT_CONFIG_GLOBAL',
  'GIT_CONFIG_SYSTEM',
  'GIT_CONFIG_NOSYSTEM',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'http_proxy',
  'https_proxy',
  'no_proxy',
  'SSL_CERT_FILE',
  'NODE_EXTRA_CA_CERTS',
];

/**
 * Starts an agent in the background that ends after a while without requests. It holds nothing of the caller's: no
 * descriptor, as git waits for the ends of its pipes; no terminal or process group; no folder; no token from the environment.
 * Resolves with its exit code if it ends while the caller is still there.
 */
export async function startAgent(): Promise<number> {
  const env: Record<string, string> = {};
  for (const name of KEPT) {
    const value = readEnvReference(name);
    if (value !== undefined) env[name] = value;
  }
  // Not node:child_process: this runs inside every `git commit` that finds no agent, and the runtime's own is loaded already.
  const child = Bun.spawn([...ownCommand(), 'agent', '--on-demand'], {
    cwd: '/',
    env,
    stdio: ['ignore', 'ignore', 'ignore'],
    detached: true,
  });
  child.unref();
  return child.exited;
}
