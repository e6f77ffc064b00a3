// What the process holds before and after a run: what has grown by more than rest explains is leaking.

import http from 'k6/http';
import { Gauge } from 'k6/metrics';
import { INTERNAL_URL } from './settings.ts';

/** How much of each thing a process holds. */
export type Held = Record<string, number>;

/**
 * What is compared, and how much it may have grown: what the first requests open and warm up, which is the same after a
 * minute and after a day. Whatever is lost in each journey is far beyond it after an hour.
 */
export const GROWTH = [
  { metric: 'grown_tasks', series: 'tokio_runtime_alive_tasks{runtime="main"}', most: 50 },
  { metric: 'grown_heap_bytes', series: 'jemalloc_allocated_bytes', most: 32 << 20 },
  // Each password that is hashed at the same time takes 19 MiB, which the allocator gives back when it likes.
  { metric: 'grown_resident_bytes', series: 'process_resident_memory_bytes', most: 128 << 20 },
  { metric: 'grown_file_descriptors', series: 'process_open_fds', most: 50 },
];

const grown = GROWTH.map(({ metric }) => new Gauge(metric));

/** What the process holds now; nothing if nobody asked. */
export function held(): Held | undefined {
  if (!INTERNAL_URL) return undefined;
  const response = http.get(`${INTERNAL_URL}/metrics`, { tags: { name: '/metrics' } });
  const lines = response.status === 200 ? String(response.body).split('\n') : [];
  const found: Held = {};
  for (const { series } of GROWTH) {
    const line = lines.find((line) => line.startsWith(`${series} `));
    if (line === undefined) throw new Error(`${INTERNAL_URL}/metrics does not tell ${series}: ${response.status}`);
    found[series] = Number(line.slice(series.length));
  }
  return found;
}

/** Tells k6 by how much it has grown since. */
export function compare(before: Held | undefined): void {
  const after = before && held();
  if (!after) return;
  GROWTH.forEach(({ series }, at) => grown[at]?.add((after[series] ?? 0) - (before[series] ?? 0)));
}
