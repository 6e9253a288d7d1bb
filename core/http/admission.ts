import {
  LARGE_BODY_BYTES,
  MAX_CLIENT_BODY_SHARE,
  MAX_LARGE_BODIES_BYTES,
  MAX_LOG_REQUEST_BYTES,
  MAX_SMALL_BODIES_BYTES,
} from '../limits.ts';

/** Memory for request bodies. A reservation is given back by calling what it is. */
export interface BodyBudget {
  /** Reserves for a body of the announced size (undefined: not announced); undefined if there is no room. */
  reserve(announced: number | undefined, client: string | undefined): (() => void) | undefined;
  /** Bytes reserved now. */
  readonly reserved: () => number;
}

/**
 * Bounds the bodies that are read at the same time, so that memory does not grow with the number of clients. Large ones
 * have a budget of their own and cannot crowd out what most clients send; one client has at most a share of either.
 */
export function createBodyBudget(): BodyBudget {
  const small = createBudget(MAX_SMALL_BODIES_BYTES);
  const large = createBudget(MAX_LARGE_BODIES_BYTES);
  return {
    reserve(announced, client) {
      const bytes = Math.min(announced ?? MAX_LOG_REQUEST_BYTES, MAX_LOG_REQUEST_BYTES);
      return (bytes > LARGE_BODY_BYTES ? large : small).reserve(bytes, client);
    },
    reserved: () => small.used() + large.used(),
  };
}

function createBudget(max: number) {
  let used = 0;
  const ofClient = new Map<string, number>();
  const share = max * MAX_CLIENT_BODY_SHARE;
  return {
    used: () => used,
    reserve(bytes: number, client: string | undefined): (() => void) | undefined {
      const before = client === undefined ? 0 : (ofClient.get(client) ?? 0);
      if (used + bytes > max || (client !== undefined && before + bytes > share)) return undefined;
      used += bytes;
      if (client !== undefined) ofClient.set(client, before + bytes);
      let held = true;
      return () => {
        if (!held) return;
        held = false;
        used -= bytes;
        if (client === undefined) return;
        const left = (ofClient.get(client) ?? 0) - bytes;
        if (left > 0) ofClient.set(client, left);
        else ofClient.delete(client);
      };
    },
  };
}

/**
 * Who is limited: the peer's address, or what a trusted proxy says in `header` (the last address of a list, which is the one
 * that the proxy itself saw). Undefined, and so without limit: this machine, unless the header names somebody else.
 * An IPv6 address counts by its /64, for that is what one subscriber has.
 */
export function clientOf(
  address: string,
  loopback: boolean,
  headers: Headers,
  header: string | undefined,
): string | undefined {
  const named = header === undefined ? undefined : headers.get(header)?.split(',').at(-1)?.trim();
  if (named !== undefined && isAddress(named)) return network(named);
  return loopback ? undefined : network(address);
}

// Form enough to be a key of bounded size; whether it is an address is between the operator and the proxy.
const isAddress = (text: string): boolean => /^[0-9a-fA-F:.]{3,45}$/.test(text);

function network(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address)?.[1];
  if (mapped !== undefined) return mapped;
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.toLowerCase().split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - groups.length - after.length)).fill('0');
  const all = [...groups, ...zeros, ...after].slice(0, 4);
  return `${all.map((group) => group.replace(/^0+(?=.)/, '')).join(':')}::/64`;
}
