import { UsageError } from '../core/errors.ts';

const UNIT_MS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 } as const;

/** Milliseconds of a duration as flags have it: a whole number and m, h, d or w. UsageError that names the flag. */
export function parseDuration(flag: string, text: string): number {
  const match = /^([1-9][0-9]{0,5})([mhdw])$/.exec(text);
  if (match) return Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
  throw new UsageError(`${flag} is not a duration: ${JSON.stringify(text.slice(0, 40))}`, {
    hint: `a whole number of minutes, hours, days or weeks, such as ${flag} 12h or ${flag} 30d`,
  });
}
