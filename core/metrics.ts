import { MAX_METRIC_SERIES } from './limits.ts';

/** Only ever grows. */
export interface Counter {
  /** `labels` in the order of the family's label names. */
  add(by: number, ...labels: string[]): void;
}

export interface Histogram {
  observe(value: number, ...labels: string[]): void;
}

/** One value of a gauge with its labels in the order of the family's label names. */
export type Sample = readonly [value: number, ...labels: string[]];

/**
 * What a server tells of itself, in the text format of Prometheus. Made once where the server is composed and handed to
 * its parts. Label values are the program's own words; should one come from outside after all, MAX_METRIC_SERIES bounds it.
 */
export interface Metrics {
  counter(name: string, help: string, labelNames?: readonly string[]): Counter;
  /** `buckets`: upper bounds, ascending, without +Inf. */
  histogram(name: string, help: string, buckets: readonly number[], labelNames?: readonly string[]): Histogram;
  /** Read when somebody asks. */
  gauge(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Sample>): void;
  /** The same for a value that only grows. */
  counted(name: string, help: string, labelNames: readonly string[], read: () => Iterable<Sample>): void;
  /** Everything, in text format 0.0.4. */
  render(): string;
}

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** Bounds of durations of requests and commits, s. */
export const SECONDS_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** Label value of all series beyond MAX_METRIC_SERIES. */
const OTHER = 'other';

export function createMetrics(): Metrics {
  const families = new Map<string, () => string>();
  const add = (name: string, type: string, help: string, lines: () => string): void => {
    if (families.has(name)) throw new Error(`internal: two metrics are called ${name}`);
    families.set(name, () => `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${lines()}`);
  };
  const read = (type: string): Metrics['gauge'] => {
    return (name, help, labelNames, samples) =>
      add(name, type, help, () =>
        [...samples()].map(([value, ...labels]) => line(name, labelText(labelNames, labels), value)).join(''),
      );
  };
  return {
    counter(name, help, labelNames = []) {
      const series = createSeries(labelNames, () => ({ value: 0 }));
      add(name, 'counter', help, () => series.lines((labels, { value }) => line(name, labels, value)));
      return {
        add(by, ...labels) {
          series.of(labels).value += by;
        },
      };
    },
    histogram(name, help, buckets, labelNames = []) {
      const series = createSeries(labelNames, () => ({ counts: buckets.map(() => 0), count: 0, sum: 0 }));
      add(name, 'histogram', help, () =>
        series.lines((labels, { counts, count, sum }) => {
          let below = 0;
          const rows = counts.map((inBucket, i) => {
            below += inBucket;
            return line(`${name}_bucket`, join(labels, `le="${buckets[i]}"`), below);
          });
          rows.push(line(`${name}_bucket`, join(labels, 'le="+Inf"'), count));
          return [...rows, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, count)].join('');
        }),
      );
      return {
        observe(value, ...labels) {
          const histogram = series.of(labels);
          const bucket = buckets.findIndex((bound) => value <= bound);
          if (bucket >= 0) histogram.counts[bucket] = (histogram.counts[bucket] ?? 0) + 1;
          histogram.count += 1;
          histogram.sum += value;
        },
      };
    },
    gauge: read('gauge'),
    counted: read('counter'),
    render: () => [...families.values()].map((lines) => lines()).join(''),
  };
}

function createSeries<T>(labelNames: readonly string[], create: () => T) {
  const all = new Map<string, T>();
  // A family without labels is there from the beginning, at zero.
  if (labelNames.length === 0) all.set('', create());
  return {
    of(labels: readonly string[]): T {
      const name = labelText(labelNames, labels);
      const known = all.get(name);
      if (known) return known;
      const isFull = all.size >= MAX_METRIC_SERIES;
      const key = isFull
        ? labelText(
            labelNames,
            labelNames.map(() => OTHER),
          )
        : name;
      const made = all.get(key) ?? create();
      all.set(key, made);
      return made;
    },
    lines: (write: (labels: string, value: T) => string): string =>
      [...all].map(([labels, value]) => write(labels, value)).join(''),
  };
}

const join = (labels: string, more: string): string => (labels === '' ? more : `${labels},${more}`);

const line = (name: string, labels: string, value: number): string =>
  `${name}${labels === '' ? '' : `{${labels}}`} ${Number.isFinite(value) ? value : 'NaN'}\n`;

function labelText(names: readonly string[], values: readonly string[]): string {
  if (names.length !== values.length) throw new Error(`internal: ${values.length} values for labels ${names}`);
  return names.map((name, i) => `${name}="${escaped(values[i] as string)}"`).join(',');
}

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' };
const escaped = (value: string): string => value.replace(/[\\"\n]/g, (found) => ESCAPES[found] as string);
