import { LARGE_BODY_BYTES, MAX_CLIENT_BODY_SHARE, MAX_LARGE_BODIES_BYTES, MAX_SMALL_BODIES_BYTES } from '../limits.ts';

/** Memory that was reserved. */
export interface Reservation {
  /** Makes it so many bytes; false, and nothing changed, if there is no room. */
  resize(bytes: number): boolean;
  /** Gives it back. Twice is once. */
  release(): void;
}

export interface Budget {
  /** Undefined if there is no room. */
  reserve(bytes: number, client: string | undefined): Reservation | undefined;
  /** Bytes reserved now. */
  readonly reserved: () => number;
}

/**
 * Bounds the bodies that are read at the same time, so that memory does not grow with the number of clients. A large one, and one
 * of unknown size, begins with LARGE_BODY_BYTES and is resized as it comes: what its sender announces keeps nobody out. Large ones
 * have a budget of their own and cannot crowd out what most clients send; one client has at most a share of either.
 */
export function createBodyBudget() {
  const small = createBudget(MAX_SMALL_BODIES_BYTES);
  const large = createBudget(MAX_LARGE_BODIES_BYTES);
  return {
    /** For a body of the announced size (undefined: not announced); undefined if there is no room. */
    reserve: (announced: number | undefined, client: string | undefined): Reservation | undefined =>
      announced !== undefined && announced <= LARGE_BODY_BYTES
        ? small.reserve(announced, client)
        : large.reserve(LARGE_BODY_BYTES, client),
    /** Bytes reserved now. */
    reserved: (): number => small.reserved() + large.reserved(),
  };
}

/** A budget of `max` bytes, of which one client has at most MAX_CLIENT_BODY_SHARE. */
export function createBudget(max: number): Budget {
  let used = 0;
  const ofClient = new Map<string, number>();
  const share = max * MAX_CLIENT_BODY_SHARE;
  return {
    reserved: () => used,
    reserve(initial, client) {
      let bytes = 0;
      let isOver = false;
      const resize = (next: number): boolean => {
        const more = next - bytes;
        const before = client === undefined ? 0 : (ofClient.get(client) ?? 0);
        if (isOver || (more > 0 && (used + more > max || (client !== undefined && before + more > share))))
          return false;
        bytes = next;
        used += more;
        if (client === undefined) return true;
        if (before + more > 0) ofClient.set(client, before + more);
        else ofClient.delete(client);
        return true;
      };
      const release = (): void => {
        if (!isOver) resize(0);
        isOver = true;
      };
      return resize(initial) ? { resize, release } : undefined;
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
