import { printable, shellWord } from '../core/bytes/printable.ts';

export { printable, shellWord };

/** Lines of a report for people: a label and its values, one to a line. */
export type ReportLine = readonly [label: string, ...values: readonly (string | undefined)[]];

/** `  label  value` with aligned values; absent values are left out, and lines without a value. Ends in a newline. */
export function reportText(title: string, lines: readonly ReportLine[]): string {
  const present = lines.flatMap(([label, ...values]) => {
    const given = values.filter((value) => value !== undefined);
    return given.length > 0 ? [{ label, values: given.map(printable) }] : [];
  });
  const width = Math.max(0, ...present.map(({ label }) => label.length)) + 2;
  const rows = present.flatMap(({ label, values }) =>
    values.map((value, i) => `  ${(i === 0 ? label : '').padEnd(width)}${value}`),
  );
  return `${[printable(title), ...rows].join('\n')}\n`;
}

/** An instant to the second, in UTC. */
export const instantText = (time: Date): string => `${time.toISOString().slice(0, 19)}Z`;
