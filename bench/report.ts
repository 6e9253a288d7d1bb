// What every benchmark prints: the machine, one small table, or all of it as JSON with --json.
import { readFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { parseArgs } from 'node:util';

export type Cell = string | number | null;
/** A row of the table, and of the JSON: numbers are in the unit that the column's name ends in. */
export type Row = Readonly<Record<string, Cell>>;

/** `--json`, and `--runs N` with at least `leastRuns`. */
export function readFlags(leastRuns: number): { json: boolean; runs: number } {
  const { values } = parseArgs({ options: { json: { type: 'boolean' }, runs: { type: 'string' } } });
  return { json: values.json ?? false, runs: Math.max(leastRuns, Number(values.runs ?? leastRuns)) };
}

export function printReport(
  json: boolean,
  name: string,
  runs: number,
  rows: readonly Row[],
  notes: readonly string[] = [],
): void {
  const report = { benchmark: name, machine: machine(), binary: versionOfBinary(), runs, rows, notes };
  if (json) {
    console.log(JSON.stringify(report));
    return;
  }
  const { cpu, cores, memoryGiB, kernel } = report.machine;
  console.log(`${name}: ${report.binary}`);
  console.log(`${cpu}, ${cores} cores, ${memoryGiB} GiB, ${kernel}; ${runs} runs each\n`);
  const columns = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const lines = [columns, ...rows.map((row) => columns.map((column) => show(row[column])))];
  const widths = columns.map((_, i) => Math.max(...lines.map((line) => (line[i] ?? '').length)));
  for (const line of lines) {
    console.log(
      line.map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))).join('  '),
    );
  }
  for (const note of notes) console.log(`\n${note}`);
}

const show = (cell: Cell | undefined): string =>
  cell === null || cell === undefined ? '-' : typeof cell === 'number' ? String(round(cell)) : cell;

/** One decimal below 100, none above: more would claim what a run does not give. */
export const round = (value: number): number => (value < 100 ? Math.round(value * 10) / 10 : Math.round(value));

/** The value below which the given part of the values lies (nearest rank). */
export function percentile(values: readonly number[], part: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? Number.NaN;
}

function machine(): { cpu: string; cores: number; memoryGiB: number; kernel: string } {
  const [cpu] = cpus();
  return {
    cpu: cpu?.model.trim() ?? 'unknown CPU',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `Linux ${readFileSync('/proc/sys/kernel/osrelease', 'utf8').trim()}`,
  };
}

const versionOfBinary = (): string => Bun.spawnSync([hallmark, '--version']).stdout.toString().trim();

/** The compiled binary that is measured. */
export const hallmark = process.env['HALLMARK_BINARY'] ?? new URL('../dist/hallmark', import.meta.url).pathname;
