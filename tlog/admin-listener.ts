import { chmodSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Handle } from '../core/http/front-end.ts';
import { MAX_LOG_REQUEST_BYTES } from '../core/limits.ts';
import { ADMIN_SOCKET } from './admin-socket.ts';

/**
 * Listens for the operator in the data directory, whose lock is held. In a folder of mode 0700 and of mode 0600 itself: whoever
 * may connect could as well read the keys. Undefined where there can be no socket, which `onFault` is told.
 */
export function openAdminSocket(
  data: string,
  admin: Handle,
  onFault: (socket: string, error: unknown) => void,
): Bun.Server<undefined> | undefined {
  const unix = join(data, ADMIN_SOCKET);
  // The lock is held: what is there was left by a server that was killed.
  rmSync(unix, { force: true });
  try {
    const server = Bun.serve({
      unix,
      maxRequestBodySize: MAX_LOG_REQUEST_BYTES,
      development: false,
      fetch: async (request) =>
        (await admin(request, new URL(request.url), { address: '', loopback: true })) ??
        new Response(null, { status: 404 }),
    });
    chmodSync(unix, 0o600);
    return server;
  } catch (error) {
    onFault(unix, error);
    return undefined;
  }
}
