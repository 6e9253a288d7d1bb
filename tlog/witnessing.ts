import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseUtf8 } from '../core/bytes/bytes.ts';
import { causes, InputError } from '../core/errors.ts';
import { readFileBounded, writeFileAtomic } from '../core/files.ts';
import type { FetchLike } from '../core/http/client.ts';
import { MAX_NOTE_BYTES } from '../core/limits.ts';
import type { CheckpointSigner } from './checkpoint-signer.ts';
import type { Log } from './log.ts';
import type { WitnessMetrics } from './observe.ts';
import { createWitnessClient } from './witness-client.ts';
import {
  openWitnessedLog,
  type PublishedHead,
  type PublishingEvent,
  type WitnessedLog,
  type WitnessPolicy,
} from './witnessed-log.ts';

/** How a log is witnessed: by whom, and where it keeps what they made of it. */
export interface Witnessing {
  /** Undefined: by nobody any more. */
  readonly policy: WitnessPolicy | undefined;
  readonly fetch: FetchLike;
  /** Where the published head of a tree is kept. */
  readonly head: (tree: string) => PublishedHead;
  readonly onEvent: (event: PublishingEvent) => void;
}

/** How often the same trouble with witnesses is told. */
const REPEAT_MS = 60_000;

/**
 * Witnessing by a policy, or the end of it without one; published heads are files in the folder `data`. `tell` gets what an operator
 * has to know, the same trouble once in a while.
 */
export function openWitnessing(
  data: string,
  policy: WitnessPolicy | undefined,
  fetch: FetchLike,
  tell: (what: string, fields: Record<string, unknown>) => void,
): Witnessing {
  let told = { what: '', at: 0 };
  const onEvent = (event: PublishingEvent): void => {
    if (event.kind === 'published') return;
    const [what, fields] =
      event.kind === 'fault'
        ? ['the cosigned checkpoint could not be published', { error: causes(event.error) }]
        : [
            event.published
              ? 'a checkpoint was published without enough witnesses'
              : 'no checkpoint is published: too few witnesses',
            { have: event.have, want: policy?.threshold, missing: event.missing.map(causes) },
          ];
    if (told.what === what && performance.now() - told.at < REPEAT_MS) return;
    told = { what, at: performance.now() };
    tell(what, fields);
  };
  return {
    policy,
    fetch,
    head: (tree) => {
      const path = join(data, `published-${tree}.note`);
      return {
        load: async () =>
          existsSync(path) ? parseUtf8(readFileBounded(path, MAX_NOTE_BYTES, 'published checkpoint')) : undefined,
        save: async (checkpoint) => writeFileAtomic(path, checkpoint, 0o600),
        forget: async () => rmSync(path, { force: true }),
      };
    },
    onEvent,
  };
}

/** A witness knows a log by its origin, which is the host, and refuses one that begins anew under it. CONFIG_INVALID. */
export function requireOwnHost(url: string | undefined, taken: readonly string[]): void {
  const hostOf = (each: string): string => new URL(each).hostname;
  if (url !== undefined && !taken.map(hostOf).includes(hostOf(url))) return;
  throw new InputError('CONFIG_INVALID', 'witnesses know a log by its host, so the new shard needs one of its own', {
    hint: 'give it a name that leads to this server: hallmark log rotate --v2 --url https://log2.example.com',
  });
}

/** `log`, published as its witnesses cosign it. What `openWitnessedLog` throws. */
export async function openPublishing(
  tree: string,
  log: Log,
  signer: CheckpointSigner,
  { policy, fetch, head, onEvent }: Witnessing & { readonly policy: WitnessPolicy },
  metrics: WitnessMetrics,
): Promise<WitnessedLog> {
  const { timeoutMs } = policy;
  const clients = policy.witnesses.map((witness) =>
    createWitnessClient({ witness, timeoutMs, fetch, prove: log.consistencyPath }),
  );
  let lag = (): bigint => 0n;
  const observed = metrics.observe(tree, clients, () => lag());
  const published = await openWitnessedLog({ log, signer, policy, clients: observed, head: head(tree), onEvent });
  lag = published.lag;
  return published;
}
