import { readLargeBody } from '../large-body.ts';
import { closeSearch, openSearch, searchTree, stateOfSearch, takeIn, wantedOfSearch } from '../search/search-tasks.ts';
import { sealDuplicates } from './duplicate-segment.ts';

/**
 * What such a thread does, by name: one does what the indexes need, another reads large requests. Arguments and answers are
 * copied between the threads.
 */
const TASKS = {
  sealDuplicates,
  openSearch,
  wantedOfSearch,
  takeIn,
  searchTree,
  stateOfSearch,
  closeSearch,
  readLargeBody,
} as const;

export type Tasks = typeof TASKS;
export type TaskName = keyof Tasks;

export interface IndexCall {
  readonly id: number;
  readonly task: TaskName;
  readonly args: unknown[];
}

export type IndexAnswer = { readonly id: number } & ({ readonly value: unknown } | { readonly failure: string });

/** Does a task on this thread. Rejects with what the task throws. */
export async function runTask(task: TaskName, args: unknown[]): Promise<unknown> {
  return (TASKS[task] as (...args: unknown[]) => unknown)(...args);
}
