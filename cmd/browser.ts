import { spawn } from 'node:child_process';
import type { Cli } from './cli.ts';

/** True if a browser window can appear in front of the person at this terminal. */
export function hasBrowser(cli: Pick<Cli, 'env'>, platform: NodeJS.Platform = process.platform): boolean {
  if (cli.env('SSH_CONNECTION') !== undefined) return false;
  if (platform === 'darwin' || platform === 'win32') return true;
  return cli.env('DISPLAY') !== undefined || cli.env('WAYLAND_DISPLAY') !== undefined;
}

/** Opens `url` in the user's browser. The child inherits no descriptor: whatever it prints cannot reach our output. */
export function openBrowser(url: string): boolean {
  const [program, ...args]: [string, ...string[]] =
    process.platform === 'darwin'
      ? ['open', url]
      : process.platform === 'win32'
        ? ['rundll32', 'url.dll,FileProtocolHandler', url]
        : ['xdg-open', url];
  try {
    const child = spawn(program, args, { detached: true, stdio: 'ignore' });
    // The address is on the terminal too, so a browser that does not start is no failure.
    child.on('error', () => {});
    child.unref();
    return true;
  } catch {
    return false;
  }
}
