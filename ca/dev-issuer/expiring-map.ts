/** A map whose entries expire and whose size is bounded: when it is full, the oldest entry gives way. */
export interface ExpiringMap<T> {
  readonly size: number;
  set(key: string, value: T): void;
  get(key: string): T | undefined;
  /** The value, once: it is gone afterwards. */
  take(key: string): T | undefined;
}

export function createExpiringMap<T>(options: { clock: () => Date; lifetimeMs: number; max: number }): ExpiringMap<T> {
  // Insertion order is order of expiry: all entries live equally long and none is set twice.
  const entries = new Map<string, { value: T; expires: number }>();

  const now = (): number => options.clock().getTime();
  const evict = (): void => {
    for (const [key, { expires }] of entries) {
      if (expires > now() && entries.size < options.max) break;
      entries.delete(key);
    }
  };
  const get = (key: string): T | undefined => {
    const entry = entries.get(key);
    return entry && entry.expires > now() ? entry.value : undefined;
  };
  return {
    get size() {
      return entries.size;
    },
    set(key, value) {
      evict();
      entries.set(key, { value, expires: now() + options.lifetimeMs });
    },
    get,
    take(key) {
      const value = get(key);
      entries.delete(key);
      return value;
    },
  };
}
