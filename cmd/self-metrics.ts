import { existsSync, readdirSync } from 'node:fs';
import type { Metrics } from '../core/metrics.ts';

/** How often the event loop is asked whether it keeps time. */
const LOOP_PROBE_MS = 100;
const LOOP_BUCKETS = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/**
 * Measures this process until the function that it returns is called. The names are those of Prometheus' own clients, so that
 * existing dashboards and alarms find them.
 */
export function addSelfMetrics(metrics: Metrics): () => void {
  const started = Date.now() / 1000 - process.uptime();
  metrics.gauge('process_start_time_seconds', 'Start of the process, Unix time.', [], () => [[started]]);
  metrics.gauge('process_resident_memory_bytes', 'Resident memory.', [], () => [[process.memoryUsage.rss()]]);
  metrics.gauge('process_open_fds', 'Open file descriptors.', [], () => {
    // Absent where the system does not tell.
    const folder = ['/proc/self/fd', '/dev/fd'].find((path) => existsSync(path));
    return folder === undefined ? [] : [[readdirSync(folder).length]];
  });
  metrics.counted('process_cpu_seconds_total', 'CPU time of the process, in user and system mode.', [], () => {
    const { user, system } = process.cpuUsage();
    return [[(user + system) / 1e6]];
  });
  const delay = metrics.histogram('hallmark_event_loop_delay_seconds', 'How late a timer was.', LOOP_BUCKETS);
  let due = performance.now() + LOOP_PROBE_MS;
  const probe = setInterval(() => {
    const now = performance.now();
    delay.observe(Math.max(0, now - due) / 1000);
    due = now + LOOP_PROBE_MS;
  }, LOOP_PROBE_MS);
  return () => clearInterval(probe);
}
