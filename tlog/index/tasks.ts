import { closeSearch, openSearch, searchTree, stateOfSearch, takeIn, wantedOfSearch } from '../search/search-tasks.ts';
import { sealDuplicates } from './duplicate-segment.ts';

/** What the thread of the indexes does, by name. Arguments and answers are copied between the threads. */
const TASKS = { sealDuplicates, openSearch, wantedOfSearch, takeIn, searchTree, stateOfSearch, closeSearch } as const;

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
