import type { AsyncVerifier } from '../core/crypto/async-verifier.ts';
import { StorageError } from '../core/errors.ts';
import { type Metrics, SECONDS_BUCKETS } from '../core/metrics.ts';
import type { Log } from './log.ts';
import type { SearchableLog } from './search/search.ts';
import type { Store } from './store.ts';
import type { WitnessClient } from './witness-client.ts';

/** Bounds of the number of entries in a commit. */
const BATCH_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500];

/** Tells what the logs of one store do, each under the name of its tree. */
export interface LogMetrics {
  /** The same store, its commits measured. */
  observeStore(store: Store): Store;
  /** The same log, its appends counted. */
  observeLog(tree: string, log: Log): Log;
}

export function createLogMetrics(metrics: Metrics): LogMetrics {
  const appends = metrics.counter(
    'hallmark_log_appends_total',
    'Entries that were to be logged, by what became of them.',
    ['tree', 'result'],
  );
  const commitSeconds = metrics.histogram('hallmark_log_commit_seconds', 'Time of a durable commit.', SECONDS_BUCKETS);
  const commitEntries = metrics.histogram('hallmark_log_commit_entries', 'Entries in a commit.', BATCH_BUCKETS);
  const failures = metrics.counter('hallmark_log_commit_failures_total', 'Commits that failed.');
  const logs = new Map<string, { log: Log; waiting: number }>();
  metrics.gauge('hallmark_log_entries', 'Entries in a log.', ['tree'], () =>
    [...logs].map(([tree, { log }]) => [Number(log.head().treeSize), tree] as const),
  );
  metrics.gauge('hallmark_log_waiting_entries', 'Entries that wait to be durable.', ['tree'], () =>
    [...logs].map(([tree, { waiting }]) => [waiting, tree] as const),
  );

  return {
    observeStore: (store) => ({
      ...store,
      async commit(changes) {
        const started = performance.now();
        try {
          await store.commit(changes);
        } catch (error) {
          failures.add(1);
          throw error;
        }
        commitSeconds.observe((performance.now() - started) / 1000);
        commitEntries.observe(changes.reduce((sum, { leaves }) => sum + leaves.length, 0));
      },
    }),
    observeLog(tree, log) {
      const observed = { log, waiting: 0 };
      logs.set(tree, observed);
      return {
        ...log,
        async append(submission) {
          observed.waiting += 1;
          try {
            const appended = await log.append(submission);
            appends.add(1, tree, appended.duplicate ? 'duplicate' : 'appended');
            return appended;
          } catch (error) {
            appends.add(1, tree, error instanceof StorageError && error.code === 'OVERLOADED' ? 'refused' : 'failed');
            throw error;
          } finally {
            observed.waiting -= 1;
          }
        },
      };
    },
  };
}

/** The same verifier, what it has under way counted. What large requests make a thread verify is not in it. */
export function observeVerifier(metrics: Metrics, verifier: AsyncVerifier): AsyncVerifier {
  let underWay = 0;
  metrics.gauge('hallmark_signature_checks_under_way', 'Signatures that wait or are being verified.', [], () => [
    [underWay],
  ]);
  const counted = async <T>(check: Promise<T>): Promise<T> => {
    underWay += 1;
    try {
      return await check;
    } finally {
      underWay -= 1;
    }
  };
  return {
    isValidSignature: (...asked) => counted(verifier.isValidSignature(...asked)),
    isValidDigestSignature: (...asked) => counted(verifier.isValidDigestSignature(...asked)),
    together: (...asked) => counted(verifier.together(...asked)),
  };
}

/** Tells how far the search indexes are behind their logs. */
export function observeSearch(metrics: Metrics, logs: readonly SearchableLog[]): void {
  const help = 'Entries that are logged and cannot be searched yet.';
  metrics.gauge('hallmark_log_unindexed_entries', help, ['tree'], () =>
    logs.map(({ name, follower }) => {
      const { treeSize, indexed } = follower.coverage();
      return [treeSize - indexed, name] as const;
    }),
  );
}

export interface WitnessMetrics {
  /** The same witnesses, their answers for a tree counted; `lag` is the number of its entries that are not published. */
  observe(tree: string, clients: readonly WitnessClient[], lag: () => bigint): WitnessClient[];
}

/** What logs tell of their witnesses. The names of these are the configuration's own. */
export function createWitnessMetrics(metrics: Metrics): WitnessMetrics {
  const requests = metrics.counter(
    'hallmark_log_cosignature_requests_total',
    'Checkpoints that a witness was to cosign, by what became of them.',
    ['tree', 'witness', 'result'],
  );
  const lags = new Map<string, () => bigint>();
  metrics.gauge('hallmark_log_unpublished_entries', 'Entries that no cosigned checkpoint covers yet.', ['tree'], () =>
    [...lags].map(([tree, lag]) => [Number(lag()), tree] as const),
  );
  return {
    observe(tree, clients, lag) {
      lags.set(tree, lag);
      return clients.map(({ vkey, cosignatureOf }) => ({
        vkey,
        async cosignatureOf(head) {
          try {
            const line = await cosignatureOf(head);
            requests.add(1, tree, vkey.name, 'cosigned');
            return line;
          } catch (error) {
            requests.add(1, tree, vkey.name, 'failed');
            throw error;
          }
        },
      }));
    },
  };
}
