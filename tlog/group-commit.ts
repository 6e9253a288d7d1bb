import type { Commit, Store } from './store.ts';

/**
 * The same store with its commits one after the other: what trees want to commit while one is under way is gathered and
 * becomes one commit of all of them. Each caller gets the outcome of the commit that its own was part of, so a failure
 * that concerns one tree fails the others that shared it; they ask for their heads and go on.
 */
export function createGroupCommit(store: Store): Store {
  let gathering: { changes: Commit[]; outcome: PromiseWithResolvers<void> } | undefined;
  let running = false;

  async function run(): Promise<void> {
    running = true;
    // One turn of the event loop, so that trees that were asked together share a commit.
    await new Promise((resolve) => setImmediate(resolve));
    while (gathering) {
      const { changes, outcome } = gathering;
      gathering = undefined;
      await store.commit(changes).then(outcome.resolve, outcome.reject);
    }
    running = false;
  }

  return {
    ...store,
    commit(changes) {
      const trees = new Set(changes.map(({ tree }) => tree));
      if (gathering?.changes.some(({ tree }) => trees.has(tree))) {
        return Promise.reject(new Error('internal: a tree commits while its own commit waits'));
      }
      gathering ??= { changes: [], outcome: Promise.withResolvers() };
      gathering.changes.push(...changes);
      const { promise } = gathering.outcome;
      if (!running) void run();
      return promise;
    },
  };
}
