import { describe, expect, test } from 'bun:test';
import { MAX_METRIC_SERIES } from './limits.ts';
import { createMetrics } from './metrics.ts';

describe('the text format', () => {
  test('of each kind', () => {
    const metrics = createMetrics();
    const requests = metrics.counter('requests_total', 'Requests.', ['route', 'status']);
    requests.add(1, '/a', '2xx');
    requests.add(2, '/a', '2xx');
    requests.add(1, '/b', '4xx');
    const seconds = metrics.histogram('seconds', 'Time.', [0.1, 1], ['route']);
    for (const value of [0.05, 0.1, 0.5, 7]) seconds.observe(value, '/a');
    metrics.gauge('size', 'Size.', ['tree'], () => [
      [3, 'v1'],
      [4, 'v2'],
    ]);
    metrics.counted('cpu_seconds_total', 'CPU.', [], () => [[1.5]]);
    expect(metrics.render()).toBe(
      [
        '# HELP requests_total Requests.',
        '# TYPE requests_total counter',
        'requests_total{route="/a",status="2xx"} 3',
        'requests_total{route="/b",status="4xx"} 1',
        '# HELP seconds Time.',
        '# TYPE seconds histogram',
        'seconds_bucket{route="/a",le="0.1"} 2',
        'seconds_bucket{route="/a",le="1"} 3',
        'seconds_bucket{route="/a",le="+Inf"} 4',
        'seconds_sum{route="/a"} 7.65',
        'seconds_count{route="/a"} 4',
        '# HELP size Size.',
        '# TYPE size gauge',
        'size{tree="v1"} 3',
        'size{tree="v2"} 4',
        '# HELP cpu_seconds_total CPU.',
        '# TYPE cpu_seconds_total counter',
        'cpu_seconds_total 1.5',
        '',
      ].join('\n'),
    );
  });

  test('a metric without labels is there from the beginning', () => {
    const metrics = createMetrics();
    metrics.counter('things_total', 'Things.');
    expect(metrics.render()).toContain('things_total 0\n');
  });

  test('a label value cannot end its quotes or its line', () => {
    const metrics = createMetrics();
    metrics.counter('x_total', 'X.', ['name']).add(1, 'a"b\\c\nd');
    expect(metrics.render()).toContain('x_total{name="a\\"b\\\\c\\nd"} 1\n');
  });
});

test('label values without end make no series without end', () => {
  const metrics = createMetrics();
  const counter = metrics.counter('x_total', 'X.', ['name']);
  for (let i = 0; i < 3 * MAX_METRIC_SERIES; i++) counter.add(1, `name-${i}`);
  const lines = metrics
    .render()
    .split('\n')
    .filter((line) => line.startsWith('x_total'));
  expect(lines).toHaveLength(MAX_METRIC_SERIES + 1);
  expect(lines.at(-1)).toBe(`x_total{name="other"} ${2 * MAX_METRIC_SERIES}`);
});

test('two metrics of one name are a mistake', () => {
  const metrics = createMetrics();
  metrics.counter('x_total', 'X.');
  expect(() => metrics.counter('x_total', 'X.')).toThrow('internal');
});
